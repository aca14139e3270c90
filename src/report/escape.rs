//! Text from outside in Markdown and HTML: it shows as it is, and is never markup.

use crate::markup::escaped;
use crate::terminal::{clean, exact};

/// Text within a line or a cell of a table, as CommonMark and GitHub read it.
pub(super) fn markdown(text: &str) -> String {
    let text = clean(text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut escaped = String::with_capacity(text.len() + 8);
    let chars: Vec<char> = text.chars().collect();
    let word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric());
    let pair = |c: char| chars.iter().filter(|found| **found == c).count() > 1;
    let ends = |at: usize| chars.get(at + 1).is_none_or(|c| c.is_whitespace());
    let before = |at: usize, word: &str| {
        let before: String = chars[at.saturating_sub(word.len())..at].iter().collect();
        before.eq_ignore_ascii_case(word)
    };
    for (at, c) in chars.iter().copied().enumerate() {
        let special = match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '@' => true,
            '<' => chars.get(at + 1).is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')),
            '~' | '$' => pair(c),
            '&' => chars.get(at + 1).is_some_and(|c| *c == '#' || c.is_ascii_alphabetic()),
            // Within a word it is none.
            '_' => !(word(at.checked_sub(1)) && word(at.checked_add(1))),
            // At the beginning of a block.
            '>' => at == 0,
            '#' | '+' | '-' | '=' if at == 0 => {
                let rest = chars.iter().position(|found| *found != c).unwrap_or(chars.len());
                rest == chars.len() || chars[rest] == ' '
            }
            '.' if before(at, "www") => true,
            '.' | ')' => at > 0 && ends(at) && chars[..at].iter().all(char::is_ascii_digit),
            // What looks like an address would become a link.
            ':' => chars.get(at + 1) == Some(&'/') || before(at, "mailto") || before(at, "xmpp"),
            _ => false,
        };
        if special {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Text within a line whose every character matters; not in a table, where a bar would end its cell.
pub(super) fn markdown_code(text: &str) -> String {
    let text = exact(text).replace('\n', "\\n").replace('\t', "\\t");
    if text.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.trim() != text { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// Lines whose every character matters.
pub(super) fn markdown_block(text: &str, language: &str) -> String {
    let text = exact(text);
    let ticks = "`".repeat(longest(&text).max(2) + 1);
    format!("{ticks}{language}\n{}\n{ticks}", text.trim_end_matches('\n'))
}

/// The longest run of backticks.
fn longest(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text in HTML and SVG, between tags or in a quoted attribute.
pub(super) fn html(text: &str) -> String {
    escaped(&clean(text))
}

/// The same where every character matters.
pub(super) fn html_exact(text: &str) -> String {
    escaped(&exact(text))
}
