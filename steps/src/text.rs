//! Foreign text made safe to show and easy to search: whatever logs, nodes and file names hold may carry escape
//! sequences that would reach a terminal.

use std::sync::LazyLock;

use regex::Regex;

/// Compiles a pattern that is part of the program; every pattern is compiled by some test.
pub(crate) fn pattern(text: &str) -> Regex {
    Regex::new(&ascii(text)).expect("a valid pattern")
}

/// A pattern whose `\d`, `\w`, `\s` and `\b` are those of ASCII: what programs print is made of these, and the classes of
/// Unicode take so long to compile that the patterns for a log would cost as much as searching hundreds of megabytes.
fn ascii(text: &str) -> String {
    let mut all = String::with_capacity(2 * text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        match escaped {
            None => all.push(c),
            Some('d') => all.push_str("[0-9]"),
            Some('w') => all.push_str("[0-9A-Za-z_]"),
            Some('s') => all.push_str(r"[\t-\r ]"),
            Some('S') => all.push_str(r"[^\t-\r ]"),
            Some('b') => all.push_str(r"(?-u:\b)"),
            Some(other) => all.extend([c, other]),
        }
    }
    all
}

/// A pattern that is compiled once.
pub(crate) type Pattern = LazyLock<Regex>;

/// Characters that a foreign text may have in a line for people.
const LINE: usize = 200;

/// One line for people: no escapes, control or invisible characters, at most 200 characters (`…` marks the cut).
pub(crate) fn clean(text: &str) -> String {
    clean_to(text, LINE)
}

/// [`clean`], cut to `limit` characters.
pub(crate) fn clean_to(text: &str, limit: usize) -> String {
    let text = unescaped(text);
    let parts = text.split(char::is_control).map(|part| part.trim_matches(|c| hidden(c) || c == ' '));
    let mut line = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    line.retain(|c| !hidden(c));
    if line.chars().nth(limit).is_some() {
        line = line.chars().take(limit.saturating_sub(1)).chain(['…']).collect();
    }
    line
}

/// Bytes of a log as text without escapes, control and invisible characters; a tab becomes a space. Not bounded, and
/// words stay as they are: what is dropped may stand inside one.
pub(crate) fn visible(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let tab = |c| if c == '\t' { ' ' } else { c };
    unescaped(&text).chars().map(tab).filter(|c| !hidden(*c)).collect()
}

/// The text without terminal escapes: real ones, their caret notation (`^[[0;36m`) and their JSON form.
fn unescaped(text: &str) -> std::borrow::Cow<'_, str> {
    static ESCAPES: Pattern = Pattern::new(|| {
        pattern(concat!(
            r"\x1b\[[0-?]*[ -/]*[@-~]",
            r"|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)",
            r"|\x1b[@-Z\\-_]",
            r"|\^\[\[[0-9;]{0,16}[A-Za-z]",
            r"|\\u001[bB]\[[0-9;]{0,16}[A-Za-z]",
        ))
    });
    if text.contains(['\x1b', '^', '\\']) { ESCAPES.replace_all(text, "") } else { text.into() }
}

/// Characters that a terminal acts on or does not show.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The last place up to `at` that lies between characters.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// At most `limit` bytes of `text`, cut between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..boundary(text, limit)]
}

/// Names in a row; the first eight, and how many more.
pub(crate) fn names(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| clean(name)).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 node`, `2 nodes`, `2 processes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let ending = match number {
        1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {noun}{ending}")
}

/// Seconds as `45 s`, `12 min`, `3 h 20 min` or `4 d`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_never_reach_a_line() {
        assert_eq!(clean("a\u{1b}[31mb\nc\r"), "ab c");
        assert_eq!(clean(" a\x1b[31mb\tc\u{202e}\n"), "ab c");
        assert_eq!(clean(&"x".repeat(500)).chars().count(), 200);
        assert_eq!([clean_to("abcdef", 4), clean_to("abcd", 4)], ["abc…", "abcd"]);
    }

    #[test]
    fn logs_lose_escapes_and_controls() {
        assert_eq!(visible(b"\x1b[1;31mRuntimeError\x1b[0m:\tCUDA\x07"), "RuntimeError: CUDA");
        assert_eq!(visible(b"^[[0;36m(pid=1)^[[0m x"), "(pid=1) x");
        assert_eq!(visible(b"\\u001b[31mred\\u001b[0m"), "red");
        assert_eq!(visible(b"\x1b]0;title\x07text"), "text");
        assert_eq!(visible("a\u{202e}b".as_bytes()), "ab");
        assert_eq!(visible(b"\xff\xfeok"), "\u{fffd}\u{fffd}ok");
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("añb", 2), "a");
    }

    #[test]
    fn long_lists_are_cut() {
        let nodes: Vec<String> = (1..=10).map(|n| format!("n{n}")).collect();
        assert_eq!(names(&nodes), "n1, n2, n3, n4, n5, n6, n7, n8 and 2 more");
        assert_eq!(names(&nodes[..2]), "n1, n2");
    }

    #[test]
    fn numbers_have_units() {
        let spans = [span(45), span(600), span(12_000), span(400_000)];
        assert_eq!(spans, ["45 s", "10 min", "3 h 20 min", "4 d"]);
        let counted = [count(1, "process"), count(2, "process"), count(0, "line")];
        assert_eq!(counted, ["1 process", "2 processes", "0 lines"]);
    }

    proptest::proptest! {
        #[test]
        fn a_line_is_one_bounded_line(text in "(\\PC|\\x1b|\\n|\\u{202e}| ){0,300}", limit in 1usize..250) {
            let line = clean_to(&text, limit);
            proptest::prop_assert!(line.chars().count() <= limit && !line.chars().any(hidden));
            proptest::prop_assert_eq!(line.trim_matches(' '), &line);
        }
    }
}
