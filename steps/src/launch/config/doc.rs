//! A configuration file as a flat list of its values, and its edits.

use std::ops::Range;

use super::{json, toml, yaml};
use crate::text::clean;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::launch) enum Format {
    /// RFC 8259; comments are allowed, as DeepSpeed's reader does.
    Json,
    /// YAML 1.2, one document.
    Yaml,
    /// TOML 1.
    Toml,
}

impl Format {
    /// By the file's name.
    pub(in crate::launch) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.')?.1 {
            "json" | "json5" | "hjson" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::launch) enum Scalar {
    /// `null`, `~`, nothing.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number as written.
    Number(String),
    /// Text.
    Text(String),
    /// A map or a list; what is in it has entries of its own.
    Inner,
}

impl Scalar {
    /// The value as a word, `None` for a map or a list.
    pub(in crate::launch) fn word(&self) -> Option<String> {
        Some(match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) | Self::Text(text) => text.clone(),
            Self::Inner => return None,
        })
    }
}

/// One value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::launch) struct Entry {
    /// Keys from the root; items of lists have their index as `[0]`.
    pub(in crate::launch) path: Vec<String>,
    /// The value.
    pub(in crate::launch) value: Scalar,
    /// Bytes of the value, quotes included.
    pub(super) range: Range<usize>,
    /// Bytes of the key; empty for items of lists.
    pub(super) key: Range<usize>,
    /// Written once and meant here: not by way of an alias or a merge.
    pub(super) own: bool,
}

/// What is found under a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::launch) enum Lookup<'d> {
    /// Nothing.
    Absent,
    /// This.
    One(&'d Entry),
    /// It is written more than once, or borrowed by an alias.
    Unclear,
}

/// A new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::launch) enum New {
    /// A whole number.
    Number(u64),
    /// A switch.
    Bool(bool),
    /// A word of letters, digits and `_`.
    Word(String),
}

impl New {
    /// The value that a word of a launch line stands for.
    pub(in crate::launch) fn of(word: &str) -> Self {
        match (word, word.parse::<u64>()) {
            (_, Ok(number)) => Self::Number(number),
            ("true" | "True", _) => Self::Bool(true),
            ("false" | "False", _) => Self::Bool(false),
            _ => Self::Word(word.to_owned()),
        }
    }

    /// As a word.
    pub(in crate::launch) fn word(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Word(word) => word.clone(),
        }
    }

    fn render(&self, format: Format) -> String {
        match (self, format) {
            (Self::Word(word), Format::Json | Format::Toml) => format!("\"{word}\""),
            _ => self.word(),
        }
    }
}

/// A parsed file.
#[derive(Debug, Clone)]
pub(in crate::launch) struct Doc {
    format: Format,
    text: String,
    entries: Vec<Entry>,
}

impl Doc {
    /// Longest text that is parsed, in bytes.
    pub(in crate::launch) const LONGEST: usize = 1 << 20;

    /// Parses a file.
    ///
    /// # Errors
    /// Where it is not understood, with the reason.
    pub(in crate::launch) fn parse(format: Format, text: &str) -> Result<Self, String> {
        if text.len() > Self::LONGEST {
            return Err(format!("it is longer than {} KiB", Self::LONGEST >> 10));
        }
        let entries = match format {
            Format::Json => json::entries(text),
            Format::Yaml => yaml::entries(text),
            Format::Toml => toml::entries(text),
        }?;
        let sane =
            |entry: &Entry| text.get(entry.range.clone()).is_some() && text.get(entry.key.clone()).is_some();
        match entries.iter().all(sane) {
            true => Ok(Self { format, text: text.to_owned(), entries }),
            false => Err("its parser lost the places of its values".to_owned()),
        }
    }

    /// The text.
    pub(in crate::launch) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the map at this path (dots between keys; empty: the file itself) is there.
    pub(in crate::launch) fn get(&self, path: &str) -> Lookup<'_> {
        let keys: Vec<&str> = path.split('.').collect();
        let mut found = self
            .entries
            .iter()
            .filter(|entry| entry.path.iter().map(String::as_str).eq(keys.iter().copied()));
        match (found.next(), found.next()) {
            (None, _) => Lookup::Absent,
            (Some(entry), None) if entry.own => Lookup::One(entry),
            _ => Lookup::Unclear,
        }
    }

    /// The line of an entry, counted from 1.
    pub(in crate::launch) fn line(&self, entry: &Entry) -> usize {
        1 + self.text[..entry.range.start].bytes().filter(|byte| *byte == b'\n').count()
    }

    /// The file with another value under a path that it has. Quotes around the old value stay.
    ///
    /// # Errors
    /// Where the present value is not one plain value, or the result would not read back as wanted.
    pub(in crate::launch) fn set(&self, path: &str, new: &New) -> Result<Self, String> {
        let entry = match self.get(path) {
            Lookup::One(entry) => entry,
            Lookup::Absent => return Err(format!("{} is not there", clean(path))),
            Lookup::Unclear => return Err(format!("{} is written twice or by an alias", clean(path))),
        };
        let old = &self.text[entry.range.clone()];
        let quote =
            old.chars().next().filter(|c| matches!(c, '"' | '\'') && old.len() > 1 && old.ends_with(*c));
        let rendered = match (&entry.value, quote) {
            (Scalar::Inner, _) => return Err(format!("{} is a map or a list", clean(path))),
            (Scalar::Text(_), Some(quote)) => format!("{quote}{}{quote}", new.word()),
            // A block scalar, an anchor before the value, or text over several lines.
            _ if old.contains('\n') || old.starts_with(['|', '>', '&', '!']) || old.is_empty() => {
                return Err(format!("{} is not written as one plain value", clean(path)));
            }
            _ => new.render(self.format),
        };
        let mut text = self.text.clone();
        text.replace_range(entry.range.clone(), &rendered);
        let after = self.proven(text, |entries| {
            if let Some(entry) = entries.iter_mut().find(|(other, _)| *other == entry.path) {
                entry.1 = Some(new.word());
            }
        })?;
        Ok(after)
    }

    /// The file with one more key beside a key of the same map.
    ///
    /// # Errors
    /// Where the neighbour is not written so that a key can stand after it, or the result would not read back as wanted.
    pub(in crate::launch) fn add(&self, path: &str, new: &New, beside: &str) -> Result<Self, String> {
        let no = || format!("no place for {} was found beside {}", clean(path), clean(beside));
        let Lookup::One(neighbour) = self.get(beside) else { return Err(no()) };
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        if beside.rsplit_once('.').map_or("", |(parent, _)| parent) != parent || neighbour.key.is_empty() {
            return Err(no());
        }
        let value = new.render(self.format);
        let line = self.text[..neighbour.key.start].rfind('\n').map_or(0, |at| at + 1);
        let lead = &self.text[line..neighbour.key.start];
        let (at, addition) = match self.format {
            Format::Json => {
                let before = self.text[..neighbour.key.start].trim_end();
                let gap = Some(&self.text[before.len()..neighbour.key.start])
                    .filter(|gap| !gap.is_empty())
                    .unwrap_or(" ");
                let colon = self.text[neighbour.key.end..neighbour.range.start].to_owned();
                (neighbour.range.end, format!(",{gap}\"{name}\"{colon}{value}"))
            }
            Format::Yaml | Format::Toml => {
                if !lead.trim().is_empty() || matches!(neighbour.value, Scalar::Inner) {
                    return Err(no());
                }
                let rest = &self.text[neighbour.range.end..];
                let end = neighbour.range.end + rest.find('\n').map_or(rest.len(), |at| at + 1);
                let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
                let sign = if self.format == Format::Yaml { ": " } else { " = " };
                match self.text[..end].ends_with('\n') {
                    true => (end, format!("{lead}{name}{sign}{value}{newline}")),
                    false => (end, format!("{newline}{lead}{name}{sign}{value}")),
                }
            }
        };
        let mut text = self.text.clone();
        text.insert_str(at, &addition);
        let mut keys = neighbour.path.clone();
        keys.pop();
        keys.push(name.to_owned());
        self.proven(text, |entries| {
            let index =
                entries.iter().rposition(|(other, _)| other.starts_with(&neighbour.path)).unwrap_or(0);
            entries.insert(index + 1, (keys, Some(new.word())));
        })
    }

    /// The new text, if its values are those of this file after `change`, in the same order.
    fn proven(
        &self,
        text: String,
        change: impl FnOnce(&mut Vec<(Vec<String>, Option<String>)>),
    ) -> Result<Self, String> {
        let flat = |doc: &Self| {
            doc.entries.iter().map(|entry| (entry.path.clone(), entry.value.word())).collect::<Vec<_>>()
        };
        let mut wanted = flat(self);
        change(&mut wanted);
        let after = Self::parse(self.format, &text)?;
        match flat(&after) == wanted {
            true => Ok(after),
            false => Err("no edit was found that changes this value and nothing else".to_owned()),
        }
    }
}
