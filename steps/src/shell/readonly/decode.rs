//! From the nodes of a parsed script to words.
//!
//! The text of every node is read once more here, character by character, by the rules of bash: what the grammar takes for
//! a word and bash does not must not pass.

use tree_sitter::Node;

use super::verdict::{Shown, quoted};
use super::word::{Rest, Word};

/// What the surroundings say about expansions.
pub(super) trait Surroundings {
    /// The text of a node.
    fn text(&self, node: Node<'_>) -> &str;
    /// Whether a variable is known to hold a tame value here.
    fn is_tame(&self, variable: &str) -> bool;
    /// Shows that the commands of a substitution only read.
    fn substitution(&mut self, node: Node<'_>) -> Shown;
}

/// Reads a word.
pub(super) fn word(node: Node<'_>, around: &mut impl Surroundings) -> Shown<Word> {
    let mut word = Word::empty();
    piece(node, around, &mut word, true)?;
    Ok(word)
}

fn piece(node: Node<'_>, around: &mut impl Surroundings, word: &mut Word, first: bool) -> Shown {
    match node.kind() {
        "word" | "number" if node.child_count() == 0 => bare(around.text(node), word, first),
        "raw_string" => {
            let inner = around.text(node).strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            let inner = inner.filter(|inner| !inner.contains('\'')).ok_or("a string in quotes")?;
            word.push(inner);
            Ok(())
        }
        "ansi_c_string" => ansi_c(around.text(node), word),
        "brace_expression" => {
            let inner = around.text(node).strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            let number =
                |text: &str| (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            match inner.and_then(|inner| inner.split_once("..")) {
                Some((from, to)) if number(from) && number(to) => {
                    word.open_numbers();
                    Ok(())
                }
                _ => Err(unclear(around.text(node))),
            }
        }
        "string" => string(node, around, word),
        "concatenation" => {
            let mut end = node.start_byte();
            for at in 0..node.child_count() {
                let Some(child) = child(node, at) else { continue };
                if child.start_byte() != end {
                    return Err(unclear(around.text(node)));
                }
                end = child.end_byte();
                // `{}` is two pieces for the grammar, and only text for a shell.
                let pair =
                    |from: usize| node.child(u32::try_from(from).ok()?).map(|child| around.text(child));
                if pair(at) == Some("{") && pair(at + 1) == Some("}") {
                    word.push("{}");
                    continue;
                }
                if pair(at) == Some("}") && at > 0 && pair(at - 1) == Some("{") {
                    continue;
                }
                piece(child, around, word, first && at == 0)?;
            }
            if end == node.end_byte() { Ok(()) } else { Err(unclear(around.text(node))) }
        }
        "simple_expansion" | "expansion" => expansion(around.text(node), around, word, Rest::Anything),
        "command_substitution" => {
            around.substitution(node)?;
            word.open(Rest::Anything);
            Ok(())
        }
        _ => Err(unclear(around.text(node))),
    }
}

/// `$'\t'`: bash replaces what stands after backslashes, a POSIX sh sees a dollar and a string. It is one word for both
/// as long as no quote is escaped.
fn ansi_c(text: &str, word: &mut Word) -> Shown {
    let inner = text.strip_prefix("$'").and_then(|text| text.strip_suffix('\''));
    let inner = inner.filter(|inner| !inner.is_empty() && !inner.contains('\''));
    let plain = inner.filter(|inner| inner.replace("\\t", "").replace("\\n", "").find('\\').is_none());
    plain.ok_or_else(|| unclear(text))?;
    word.open_filled();
    Ok(())
}

/// A piece without quotes.
fn bare(text: &str, word: &mut Word, first: bool) -> Shown {
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, escaped)) if escaped == ' ' || escaped.is_ascii_graphic() => {
                    word.push(escaped.encode_utf8(&mut [0; 4]));
                }
                _ => return Err(unclear(text)),
            },
            '*' | '?' | '[' | ']' => word.open(Rest::Files),
            '~' if first && at == 0 && !matches!(characters.peek(), None | Some((_, '/'))) => {
                return Err(unclear(text));
            }
            '#' if first && at == 0 => return Err(unclear(text)),
            '#' | '~' | '!' | '^' | '_' | '.' | '/' | ':' | ',' | '=' | '@' | '%' | '+' | '-' => {
                word.push(character.encode_utf8(&mut [0; 4]));
            }
            _ if character.is_ascii_alphanumeric() => word.push(character.encode_utf8(&mut [0; 4])),
            _ => return Err(unclear(text)),
        }
    }
    Ok(())
}

/// A piece in double quotes.
fn string(node: Node<'_>, around: &mut impl Surroundings, word: &mut Word) -> Shown {
    let text = around.text(node).to_owned();
    let start = node.start_byte();
    let last =
        text.len().checked_sub(1).filter(|last| *last > 0 && text.ends_with('"') && text.starts_with('"'));
    let last = last.ok_or_else(|| unclear(&text))?;
    let mut at = 1;
    for index in 0..node.child_count() {
        let Some(child) = child(node, index) else { continue };
        if matches!(child.kind(), "string_content" | "\"" | "$") {
            continue;
        }
        let before = text.get(at..child.start_byte() - start).ok_or_else(|| unclear(&text))?;
        literal(before, false, word)?;
        at = child.end_byte() - start;
        match child.kind() {
            "simple_expansion" | "expansion" => {
                expansion(around.text(child), around, word, Rest::Within)?;
            }
            "command_substitution" => {
                around.substitution(child)?;
                word.open(Rest::Within);
            }
            _ => return Err(unclear(&text)),
        }
    }
    literal(text.get(at..last).ok_or_else(|| unclear(&text))?, true, word)
}

/// What stands between double quotes besides expansions.
fn literal(text: &str, last: bool, word: &mut Word) -> Shown {
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('"' | '`', _) | ('\\', None | Some('\n')) => return Err(unclear(text)),
            // A dollar that begins no expansion.
            ('$', Some(' ' | '|' | ')')) => word.push("$"),
            ('$', None) if last => word.push("$"),
            ('$', _) => return Err(unclear(text)),
            ('\\', Some(escaped @ ('$' | '`' | '"' | '\\'))) => {
                word.push(escaped.encode_utf8(&mut [0; 4]));
                characters.next();
            }
            _ => word.push(character.encode_utf8(&mut [0; 4])),
        }
    }
    Ok(())
}

/// An expansion that evaluates nothing: `$x`, `${x}`, `${x:-text}`. Others assign, count or, as `${x@P}` and `${a[i]}`, execute.
fn expansion(text: &str, around: &impl Surroundings, word: &mut Word, rest: Rest) -> Shown {
    let inner = match text.strip_prefix('$') {
        Some(inner) => match inner.strip_prefix('{') {
            Some(inner) => inner.strip_suffix('}').ok_or_else(|| unclear(text))?,
            None => inner,
        },
        None => return Err(unclear(text)),
    };
    if matches!(inner, "@" | "*") {
        word.open(Rest::Anything);
        return Ok(());
    }
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    let special = matches!(inner, "?" | "$" | "#");
    let other = operator.strip_prefix(':').unwrap_or(operator);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:,@%+-".contains(c);
    let other = other.strip_prefix(['-', '+']).is_some_and(|other| other.chars().all(plain));
    // `${x%.*}`, `${x##*/}`.
    let cut = operator.strip_prefix(['%', '#']);
    let cut = cut.is_some_and(|cut| cut.chars().all(|c| plain(c) || "#*?".contains(c)));
    // `${#x}`.
    let counted = text.starts_with("${") && inner.strip_prefix('#').is_some_and(is_name);
    if counted {
        word.open(Rest::Within);
        return Ok(());
    }
    if !special && (name.is_empty() || !(operator.is_empty() || other || cut)) {
        return Err(unclear(text));
    }
    if operator.is_empty() && around.is_tame(name) {
        word.open_tamely();
    } else {
        word.open(rest);
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unclear(text: &str) -> String {
    format!("{} is not shown to be only text", quoted(text))
}

/// A child by its place.
pub(super) fn child(node: Node<'_>, at: usize) -> Option<Node<'_>> {
    node.child(at.try_into().ok()?)
}
