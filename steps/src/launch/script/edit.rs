//! Edits of a script: the smallest one after which the launch sees the wanted value, proven by reading it back.

use std::ops::Range;

use tree_sitter::Node;

use super::facts::Event;
use super::parse::{Launch, Misread, Script};
use super::reading::{Reading, Setting, Unclear};
use super::value::{Style, is_plain, render};

/// Why a script was not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::launch) enum Refusal {
    /// Its present setting cannot be told or edited safely.
    #[error("{name}: {why}")]
    Unclear {
        /// The variable.
        name: String,
        /// Why.
        why: Unclear,
    },
    /// It cannot be removed, since the script expands it.
    #[error("{name}: line {line} reads it, so it cannot be removed")]
    Read {
        /// The variable.
        name: String,
        /// The line.
        line: usize,
    },
    /// No edit was found that has just the wanted effect.
    #[error("{name}: no edit of the script was found that surely has the wanted effect and no other")]
    NoEdit {
        /// The variable.
        name: String,
    },
    /// The edited script would not be understood.
    #[error("{0}")]
    Misread(#[from] Misread),
}

/// Longest value, in bytes.
const LONGEST_VALUE: usize = 4096;
/// More launches than this are not edited one by one.
const MOST_EDITS: usize = 16;

/// Whether this is the name of an environment variable that a shell can assign.
pub(in crate::launch) fn valid_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.len() <= 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a value can stand in a script and on a terminal: no control characters, not beyond 4 KiB.
pub(in crate::launch) fn valid_value(value: &str) -> bool {
    value.len() <= LONGEST_VALUE && !value.chars().any(char::is_control)
}

/// Sets `name` to `value` for every launch. The name and the value must be valid.
///
/// # Errors
/// Where the present setting is unclear, or no edit has surely the wanted effect.
pub(in crate::launch) fn set(script: &Script, name: &str, value: &str) -> Result<Script, Refusal> {
    let missing = |setting: Option<&Setting>| match setting {
        Some(setting) => setting.value != value || !(setting.exported || setting.used),
        None => true,
    };
    repeat(script, name, missing, |script, launch, setting| {
        let Some(setting) = setting else { return insert(script, launch, &format!("export {name}="), value) };
        let event = script.facts.events.get(setting.target.event)?;
        // `: "${A:=b}"`: the expansion itself assigns; only its default can be edited.
        let expansion = event.whole == event.value;
        let target = &setting.target;
        if setting.value == value {
            let alone = event.siblings == 1 && event.statement == event.whole && !expansion;
            return if alone {
                Some(splice(script.text(), event.whole.start..event.whole.start, "export "))
            } else {
                insert(script, launch, "export ", name)
            };
        }
        match &target.default {
            Some(default) if is_plain(value) => Some(splice(script.text(), default.clone(), value)),
            _ if expansion => insert(script, launch, &format!("export {name}="), value),
            _ => Some(splice(script.text(), target.value.clone(), &render(value, target.style))),
        }
    })
}

/// Takes `name` out of every launch's environment, as far as the script puts it there. The name must be valid.
///
/// # Errors
/// Where the present setting is unclear, where the script expands the variable, or no edit has surely the wanted effect.
pub(in crate::launch) fn remove(script: &Script, name: &str) -> Result<Script, Refusal> {
    if let (Reading::Known(_), Some(at)) = (script.reading(name), script.reads(name).next()) {
        return Err(Refusal::Read { name: name.to_owned(), line: script.line(at) });
    }
    repeat(
        script,
        name,
        |setting| setting.is_some(),
        |script, launch, setting| {
            let event = script.facts.events.get(setting?.target.event)?;
            match extent(script, event) {
                Some(range) => Some(splice(script.text(), range, "")),
                None => insert(script, launch, "unset ", name),
            }
        },
    )
}

/// Applies `edit` to the first launch that is still `missing` what is wanted, until none is.
fn repeat(
    script: &Script,
    name: &str,
    missing: impl Fn(Option<&Setting>) -> bool,
    edit: impl Fn(&Script, &Launch, Option<&Setting>) -> Option<String>,
) -> Result<Script, Refusal> {
    let unclear = |why| Refusal::Unclear { name: name.to_owned(), why };
    let mut script = Script::parse(script.text())?;
    if let Some(line) = script.untold_launch() {
        return Err(unclear(Unclear::Untold { line }));
    }
    if script.launches().is_empty() {
        return Err(unclear(Unclear::NoLaunch));
    }
    for _ in 0..MOST_EDITS {
        let mut todo = None;
        for launch in script.launches() {
            let setting = match script.reading_at(name, launch) {
                Reading::Unclear(why) => return Err(unclear(why)),
                Reading::Absent => None,
                Reading::Known(setting) => Some(setting),
            };
            if missing(setting.as_ref()) {
                todo = Some(edit(&script, launch, setting.as_ref()));
                break;
            }
        }
        script = match todo {
            None => return Ok(script),
            Some(Some(text)) => Script::parse(text)?,
            Some(None) => break,
        };
    }
    Err(Refusal::NoEdit { name: name.to_owned() })
}

fn splice(text: &str, range: Range<usize>, new: &str) -> String {
    let mut text = text.to_owned();
    text.replace_range(range, new);
    text
}

/// A new line `before` + `value` right before the statement that launches, indented like it.
fn insert(script: &Script, launch: &Launch, before: &str, value: &str) -> Option<String> {
    let text = script.text();
    let at = line_before(script, launch)?;
    let indent: String = text[at..].chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let value = render(value, Style::Bare);
    Some(splice(text, at..at, &format!("{indent}{before}{value}{end}")))
}

/// The start of a line at which a statement can be put so that it is executed right before the launch.
fn line_before(script: &Script, launch: &Launch) -> Option<usize> {
    let mut node = script.node(&launch.range)?;
    while let Some(parent) = node.parent() {
        let start = script.text()[..node.start_byte()].rfind('\n').map_or(0, |at| at + 1);
        if let Some(opened) = block_start(parent, node) {
            let mut cursor = parent.walk();
            let cuts = parent.children(&mut cursor).any(|c| c.start_byte() < start && c.end_byte() > start);
            if opened <= start && !cuts {
                return Some(start);
            }
        }
        node = parent;
    }
    None
}

/// Where the statements of the block begin of which `node` is one; `None` if `node` is not a statement there.
fn block_start(block: Node<'_>, node: Node<'_>) -> Option<usize> {
    let opener = match block.kind() {
        "program" => return Some(0),
        "compound_statement" => "{",
        "do_group" => "do",
        "subshell" => "(",
        "if_statement" | "elif_clause" => "then",
        "else_clause" => "else",
        "case_item" => ")",
        _ => return None,
    };
    if matches!(node.kind(), "elif_clause" | "else_clause") {
        return None;
    }
    let mut cursor = block.walk();
    let end = block.children(&mut cursor).find(|child| child.kind() == opener)?.end_byte();
    (end <= node.start_byte()).then_some(end)
}

/// What goes when an assignment goes: its whole line if nothing else is on it, else itself and the blanks beside it.
/// `None` where taking it out could leave an empty block or half a list.
fn extent(script: &Script, event: &Event) -> Option<Range<usize>> {
    let text = script.text();
    let blanks = |at: usize| text[at..].len() - text[at..].trim_start_matches([' ', '\t']).len();
    let first = event.whole.start == event.statement.start;
    if event.prefix || (event.siblings > 1 && first) {
        return Some(event.whole.start..event.whole.end + blanks(event.whole.end));
    }
    if event.siblings > 1 {
        let kept = text[..event.whole.start].trim_end_matches([' ', '\t']).len();
        return Some(kept..event.whole.end);
    }
    let node = script.node(&event.statement).filter(|node| node.byte_range() == event.statement)?;
    let block = node.parent()?;
    let mut cursor = block.walk();
    let statements = block.named_children(&mut cursor).filter(|child| child.kind() != "comment").count();
    match block.kind() {
        "program" => {}
        "compound_statement" | "do_group" | "subshell" if statements > 1 => {}
        _ => return None,
    }
    let start = text[..event.statement.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[event.statement.end..].find('\n').map_or(text.len(), |at| event.statement.end + at + 1);
    let (before, after) = (&text[start..event.statement.start], &text[event.statement.end..end]);
    let rest = after.trim_start();
    if before.trim().is_empty() && (rest.is_empty() || rest.starts_with('#')) {
        return Some(start..end);
    }
    let end = event.statement.end;
    let stop = end + after.find(';')?;
    (text[end..stop].trim().is_empty() && !text[stop..].starts_with(";;"))
        .then(|| event.statement.start..stop + 1 + blanks(stop + 1))
}
