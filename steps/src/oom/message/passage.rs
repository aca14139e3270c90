//! The stretch of a log that one message may fill.

use crate::text::{Pattern, pattern};

/// A line with a trigger in it, and the lines of the same source that follow it.
#[derive(Debug, Clone)]
pub(crate) struct Passage {
    /// The line with the trigger, cleaned and without its prefixes.
    pub(crate) line: String,
    /// That line and the following ones, joined by line feeds.
    pub(crate) text: String,
    /// All of it without white space.
    pub(crate) squeezed: String,
    /// Bytes of it that come from the first line.
    pub(crate) first: usize,
}

impl Passage {
    /// From the line with the trigger and what follows it.
    pub(crate) fn new(line: &str, following: &[&str]) -> Self {
        let mut text = line.to_owned();
        let mut squeezed = squeeze(line);
        let first = squeezed.len();
        for next in following {
            text.push('\n');
            text.push_str(next);
            squeezed.push_str(&squeeze(unstamped(next)));
        }
        Self { line: line.to_owned(), text, squeezed, first }
    }
}

/// A line without the time, the stream and the level that a collector or a logger has put before each piece of a message.
fn unstamped(line: &str) -> &str {
    static STAMP: Pattern = Pattern::new(|| {
        pattern(concat!(
            r"^\s*\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?",
            r"(?:\s+std(?:out|err) [FP]\b|\s*[-|:]?\s*(?:ERROR|CRITICAL|WARNING|INFO)\b\s*[-|:]?)?",
        ))
    });
    let stamped = line.trim_start_matches([' ', '[']).starts_with(|c: char| c.is_ascii_digit());
    let end = if stamped { STAMP.find(line).map_or(0, |found| found.end()) } else { 0 };
    &line[end..]
}

/// The text without white space, mark-up and JSON escapes.
///
/// Messages reach a log wrapped in mid-word, with lost or doubled spaces, in boxes, bold or escaped. All of that is
/// white space or one of a few marks, none of which a message needs to be understood.
fn squeeze(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_between_the_pieces_are_no_part_of_a_message() {
        for line in [
            "GiB of",
            "2026-11-23T07:49:56.123456789Z GiB of",
            "2026-11-23T07:49:56.12+01:00 stderr F GiB of",
            "[2026-11-23 07:49:56] GiB of",
            "2026-11-23 07:49:56,123 - ERROR - GiB of",
        ] {
            assert_eq!(Passage::new("39.06 ", &[line]).squeezed, "39.06GiBof", "{line}");
        }
        assert_eq!(Passage::new("of", &["23.56 GiB"]).squeezed, "of23.56GiB");
    }

    #[test]
    fn squeezing_undoes_wrapping_and_marks() {
        assert_eq!(squeeze("of which **1.27\n GiB** is fr\nee."), "ofwhich1.27GiBisfree.");
        assert_eq!(squeeze(r#"\"a\nb\" c:\dir"#), r#"abc:dir"#);
    }
}
