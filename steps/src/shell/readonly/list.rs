//! The list of programs that can read, from `commands.yaml`, where its format is described.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::languages::Language;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing.
    Nothing,
    /// A value, attached or in the next word.
    Value,
    /// A value if one is attached.
    Attached,
    /// A program in the entry's language, in the next word.
    Program,
}

/// A check that is written in Rust, because a list cannot say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Check {
    /// No word can make this command change anything.
    Harmless,
    /// `test` and `[`.
    Test,
    /// `printf`.
    Printf,
    /// `set`.
    Set,
    /// `read`.
    Read,
}

/// A program, or a subcommand of one, and the words with which it only reads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Space-separated names.
    names: String,
    #[serde(default)]
    pub(super) check: Option<Check>,
    #[serde(default)]
    flags: Flags,
    #[serde(default)]
    pub(super) exact: bool,
    #[serde(default)]
    pub(super) no_dashdash: bool,
    #[serde(default)]
    pub(super) requires: Vec<String>,
    #[serde(default)]
    pub(super) most: Option<usize>,
    #[serde(default)]
    pub(super) operand: Option<Pattern>,
    #[serde(default)]
    pub(super) program: Option<Language>,
    #[serde(default)]
    pub(super) names_only: bool,
    #[serde(default)]
    pub(super) any_flag: bool,
    #[serde(default)]
    pub(super) walks: bool,
    #[serde(default)]
    pub(super) runs: bool,
    #[serde(default)]
    pub(super) appends: bool,
    #[serde(default)]
    pub(super) wraps: Option<usize>,
    #[serde(default)]
    pub(super) sub: Vec<Entry>,
    #[serde(default)]
    pub(super) bare: bool,
}

impl Entry {
    /// What a flag takes; nothing if it is not on the list.
    pub(super) fn flag(&self, flag: &str) -> Option<Takes> {
        self.flags.known.get(flag).copied()
    }

    /// Whether `-5` is a flag.
    pub(super) fn takes_number(&self) -> bool {
        self.flags.number
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(from = "String")]
struct Flags {
    known: HashMap<String, Takes>,
    number: bool,
}

impl From<String> for Flags {
    fn from(text: String) -> Self {
        let mut flags = Self::default();
        for form in text.split_whitespace() {
            let (name, takes) = match form {
                "-NUM" => {
                    flags.number = true;
                    continue;
                }
                _ if form.ends_with("=program") => (form.trim_end_matches("=program"), Takes::Program),
                _ => match (form.strip_suffix("=?"), form.strip_suffix('=')) {
                    (Some(name), _) => (name, Takes::Attached),
                    (None, Some(name)) => (name, Takes::Value),
                    (None, None) => (form, Takes::Nothing),
                },
            };
            flags.known.insert(name.to_owned(), takes);
        }
        flags
    }
}

/// A regular expression that has to match the whole word.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Whether it matches the whole word.
    pub(super) fn matches(&self, word: &str) -> bool {
        self.0.is_match(word)
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Regex::new(&format!(r"\A(?:{text})\z")).map(Self)
    }
}

/// Finds a program, or a subcommand among those of one.
pub(super) fn find<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.names.split_whitespace().any(|known| known == name))
}

/// The list; where it could not be read, every command counts as one that may change something.
pub(super) fn programs() -> Result<&'static [Entry], &'static str> {
    static LIST: LazyLock<Result<Vec<Entry>, String>> = LazyLock::new(|| {
        serde_yaml::from_str(include_str!("commands.yaml")).map_err(|error| error.to_string())
    });
    LIST.as_deref().map_err(String::as_str)
}
