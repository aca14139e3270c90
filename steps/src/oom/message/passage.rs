//! The stretch of a log that one message may fill.

use std::sync::LazyLock;

use regex::Regex;

use crate::oom::text::squeeze;

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
        for next in following {
            text.push('\n');
            text.push_str(next);
        }
        let squeezed = squeeze(&text);
        Self { line: line.to_owned(), text, squeezed, first: squeeze(line).len() }
    }
}

/// Compiles a pattern that is part of the program.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// A pattern that is compiled once.
pub(super) type Pattern = LazyLock<Regex>;
