//! Where the code in a template begins and ends. Checking and evaluating ask the same functions, so that both see the same
//! expressions.

use std::ops::Range;

/// Whether a text has anything to evaluate.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The place of the expression in a text that is exactly one `{{ expression }}`.
pub(crate) fn one_expression(text: &str) -> Option<Range<usize>> {
    let trimmed = text.trim();
    let start = text.len() - text.trim_start().len();
    let first = trimmed.starts_with("{{").then(|| code(text, start))??;
    (first.whole.end == start + trimmed.len()).then_some(first.inner)
}

/// One `{{ … }}` or `{% … %}`.
pub(crate) struct Code {
    /// With its braces.
    pub(crate) whole: Range<usize>,
    /// Without.
    pub(crate) inner: Range<usize>,
    /// It is a `{% … %}`.
    pub(crate) block: bool,
}

/// Reads the code that begins at `start`; `None` if it does not end.
pub(crate) fn code(text: &str, start: usize) -> Option<Code> {
    let block = text[start..].starts_with("{%");
    let close = if block { "%}" } else { "}}" };
    let mut from = start + 2;
    if text[from..].starts_with(['-', '+']) {
        from += 1;
    }
    let mut depth = 0usize;
    let mut at = from;
    while at < text.len() {
        let rest = &text[at..];
        if depth == 0 && rest.starts_with(close) {
            let trimmed = text[from..at].ends_with(['-', '+']);
            let end = if trimmed { at - 1 } else { at };
            return Some(Code { whole: start..at + 2, inner: from..end.max(from), block });
        }
        let next = rest.chars().next()?;
        match next {
            '"' | '\'' => {
                at += string(rest)?;
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += next.len_utf8();
    }
    None
}

/// The length of the string literal at the start of `rest`.
pub(crate) fn string(rest: &str) -> Option<usize> {
    let quote = rest.chars().next()?;
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}
