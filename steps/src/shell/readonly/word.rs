//! A shell word, as far as it is known before the shell expands it.

use tree_sitter::Node;

/// One argument, or several if the shell may split it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Exactly this text.
    Is(String),
    /// One or more words, each of which begins with this text.
    Begins(String),
    /// Anything, any number of words.
    Any,
}

impl Word {
    /// The word of a syntax node, with the nodes of the command substitutions in it; `None` for what is not understood.
    pub(super) fn of<'t>(node: Node<'t>, source: &str, inner: &mut Vec<Node<'t>>) -> Option<Self> {
        let mut text = String::new();
        let certain = append(node, source, &mut text, inner)?;
        Some(match certain {
            Certainty::Whole => Self::Is(text),
            // A file name that a pattern matches, or a quoted value, begins with what stands before it.
            Certainty::Prefix if !text.is_empty() => Self::Begins(text),
            _ => Self::Any,
        })
    }
}

/// How much of a word the text so far says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    Whole,
    Prefix,
    /// The shell splits it into words that begin with anything.
    Nothing,
}

fn append<'t>(
    node: Node<'t>,
    source: &str,
    text: &mut String,
    inner: &mut Vec<Node<'t>>,
) -> Option<Certainty> {
    let raw = source.get(node.byte_range())?;
    match node.kind() {
        "word" | "number" | "command_name" if node.named_child_count() == 0 => plain(raw, text),
        "command_name" if node.named_child_count() == 1 => append(node.named_child(0)?, source, text, inner),
        "raw_string" => {
            *text += raw.strip_prefix('\'')?.strip_suffix('\'')?;
            Some(Certainty::Whole)
        }
        "string" => quoted(node, source, text, inner),
        "simple_expansion" | "command_substitution" => {
            if node.kind() == "command_substitution" {
                inner.push(node);
            } else if !harmless_expansion(raw) {
                return None;
            }
            Some(Certainty::Nothing)
        }
        "concatenation" => {
            let mut certainty = Certainty::Whole;
            let mut end = node.start_byte();
            for index in 0..node.child_count() {
                let child = node.child(u32::try_from(index).ok()?)?;
                // Braces and other bare tokens are children without a name; a gap would be text that nobody read.
                if child.start_byte() != end {
                    return None;
                }
                end = child.end_byte();
                let mut rest = String::new();
                let part = append(child, source, &mut rest, inner)?;
                if certainty == Certainty::Whole {
                    *text += &rest;
                }
                certainty = match (certainty, part) {
                    (Certainty::Nothing, _) | (_, Certainty::Nothing) => Certainty::Nothing,
                    (Certainty::Prefix, _) | (_, Certainty::Prefix) => Certainty::Prefix,
                    _ => Certainty::Whole,
                };
            }
            (end == node.end_byte()).then_some(certainty)
        }
        _ => None,
    }
}

/// A word without quotes: backslashes are taken, a pattern or brace ends what is certain.
fn plain(raw: &str, text: &mut String) -> Option<Certainty> {
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                '\n' => return None,
                escaped => text.push(escaped),
            },
            '*' | '?' | '[' | '{' => return Some(Certainty::Prefix),
            // Nothing that shells disagree about, and nothing that should have been a node of its own.
            '~' | '!' | '#' | '%' | '+' | ',' | '-' | '.' | '/' | ':' | '=' | '@' | '^' | '_' | ']' | '}' => {
                text.push(c)
            }
            c if c.is_ascii_alphanumeric() => text.push(c),
            _ => return None,
        }
    }
    Some(Certainty::Whole)
}

/// Text in double quotes. An expansion in it stays one word.
fn quoted<'t>(
    node: Node<'t>,
    source: &str,
    text: &mut String,
    inner: &mut Vec<Node<'t>>,
) -> Option<Certainty> {
    let mut certain = true;
    let (mut at, end) = (node.start_byte() + 1, node.end_byte().checked_sub(1)?);
    let mut cursor = node.walk();
    for child in node.named_children(&mut cursor) {
        match child.kind() {
            "string_content" => continue, // read as source text below
            "simple_expansion" if harmless_expansion(source.get(child.byte_range())?) => {}
            "command_substitution" => inner.push(child),
            _ => return None,
        }
        if certain {
            unescape(source.get(at..child.start_byte())?, text)?;
        }
        certain = false;
        at = child.end_byte();
    }
    if certain {
        unescape(source.get(at..end)?, text)?;
    }
    Some(if certain { Certainty::Whole } else { Certainty::Prefix })
}

fn unescape(raw: &str, text: &mut String) -> Option<()> {
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                escaped @ ('$' | '`' | '"' | '\\') => text.push(escaped),
                '\n' => {}
                other => text.extend(['\\', other]),
            },
            '$' | '`' => return None, // an expansion that the parser did not see as one
            c => text.push(c),
        }
    }
    Some(())
}

/// `$NAME`, `$1`, `$?` and the like: reading a variable alters nothing. `${…}` can assign, and evaluate arithmetic.
fn harmless_expansion(raw: &str) -> bool {
    raw.strip_prefix('$').is_some_and(|name| {
        !name.is_empty()
            && (name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || "?#@*$!-".contains(name))
    })
}
