//! Raw log bytes to text that is safe to show and easy to search.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Removes terminal escapes and every other control or invisible formatting character; a tab becomes a space.
pub(crate) fn clean(bytes: &[u8]) -> String {
    // Real escapes, their caret notation (`^[[0;36m`) and their JSON form.
    static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"\x1b\[[0-?]*[ -/]*[@-~]",
            r"|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)",
            r"|\x1b[@-Z\\-_]",
            r"|\^\[\[[0-9;]{0,16}[A-Za-z]",
            r"|\\u001[bB]\[[0-9;]{0,16}[A-Za-z]",
        ))
        .expect("a valid pattern")
    });
    let text = String::from_utf8_lossy(bytes);
    let text = if text.contains(['\x1b', '^', '\\']) { ESCAPES.replace_all(&text, "") } else { text };
    text.chars().filter_map(|c| if c == '\t' { Some(' ') } else { (!hidden(c)).then_some(c) }).collect()
}

/// Characters that a terminal acts on or does not show.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The text without white space, mark-up and JSON escapes.
///
/// Messages reach a log wrapped in mid-word, with lost or doubled spaces, in boxes, bold or escaped. All of that is
/// white space or one of a few marks, none of which a message needs to be understood.
pub(crate) fn squeeze(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if chars.peek().is_some_and(|next| matches!(next, 'n' | 'r' | 't' | '"' | '\\' | '\'')) {
                    chars.next();
                }
            }
            '*' | '`' | '│' | '┃' | '|' => {}
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// The last place up to `at` that lies between characters.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// At most `limit` bytes of `text`, cut between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..boundary(text, limit)]
}

/// A short piece of hostile text for a summary line.
pub(crate) fn short(text: &str, limit: usize) -> Cow<'_, str> {
    let cut = cut(text, limit);
    if cut.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(format!("{cut}…")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_are_gone() {
        assert_eq!(clean(b"\x1b[1;31mRuntimeError\x1b[0m:\tCUDA\x07"), "RuntimeError: CUDA");
        assert_eq!(clean(b"^[[0;36m(pid=1)^[[0m x"), "(pid=1) x");
        assert_eq!(clean(b"\\u001b[31mred\\u001b[0m"), "red");
        assert_eq!(clean(b"\x1b]0;title\x07text"), "text");
        assert_eq!(clean("a\u{202e}b".as_bytes()), "ab");
        assert_eq!(clean(b"\xff\xfeok"), "\u{fffd}\u{fffd}ok");
    }

    #[test]
    fn squeezing_undoes_wrapping_and_marks() {
        assert_eq!(squeeze("of which **1.27\n GiB** is fr\nee."), "ofwhich1.27GiBisfree.");
        assert_eq!(squeeze(r#"\"a\nb\" c:\dir"#), r#"abc:dir"#);
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(short("abcdef", 3), "abc…");
    }
}
