//! Reading the keys of one map, with every mistake reported and none of them final.

use std::time::Duration;

use serde_json::Number;
use smol_str::ToSmolStr;

use super::duration;
use super::node::{Node, Value, Word};
use crate::check::{Findings, codes, list};
use crate::diagnostic::Span;

/// The keys of one map.
pub(super) struct Fields<'n> {
    entries: &'n [(Word, Node)],
    /// What the map is, for people: `a node`.
    what: &'static str,
    /// Where to point when something is missing.
    at: Span,
    /// Keys that are there, but misspelt.
    misspelt: Vec<String>,
}

impl<'n> Fields<'n> {
    /// Takes `node` as a map with the keys `known`.
    pub(super) fn of(
        node: &'n Node,
        at: &Span,
        what: &'static str,
        known: &[&str],
        findings: &mut Findings,
    ) -> Option<Self> {
        let Some(entries) = node.entries() else {
            wrong_type(findings, node, at, what, "a map");
            return None;
        };
        let mut misspelt = Vec::new();
        let given = |name: &str| entries.iter().any(|(key, _)| key.text == name);
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
            let meant = findings.meant(&key.text, known.iter().copied().filter(|name| !given(name)));
            misspelt.extend(meant.map(str::to_owned));
            let report = findings
                .error(codes::YAML_UNKNOWN_KEY, format!("{what} has no key `{}`", key.text), key.span.clone())
                .label("unknown key");
            if meant.is_none() && key.text == "effect" {
                report.help("`effect` is a parameter of the step: write it under `with`.");
            } else {
                report.help_meant(meant, "Its keys are", known.iter().copied());
            }
        }
        Some(Self { entries, what, at: at.clone(), misspelt })
    }

    /// All keys, in written order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'n Word> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The key with its value.
    pub(super) fn get(&self, name: &str) -> Option<&'n (Word, Node)> {
        self.entries.iter().find(|(key, _)| key.text == name)
    }

    /// The value of a key that has to be there.
    pub(super) fn need(&self, name: &str, help: &str, findings: &mut Findings) -> Option<&'n (Word, Node)> {
        let found = self.get(name);
        // One mistake is one error.
        if found.is_none() && !self.misspelt.iter().any(|meant| meant == name) {
            findings
                .error(codes::YAML_MISSING_KEY, format!("{} needs `{name}`", self.what), self.at.clone())
                .label(format!("`{name}` is missing"))
                .help(help);
        }
        found
    }

    /// The text of a key.
    pub(super) fn word(&self, name: &str, findings: &mut Findings) -> Option<Word> {
        self.get(name).and_then(|(key, node)| word(node, key, findings))
    }

    /// The text of a key, its place not needed.
    pub(super) fn text(&self, name: &str, findings: &mut Findings) -> Option<String> {
        self.word(name, findings).map(String::from)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str, findings: &mut Findings) -> Option<bool> {
        let (key, node) = self.get(name)?;
        match node.value {
            Value::Bool(value) => Some(value),
            _ => {
                wrong_type(findings, node, &key.span, &format!("`{name}`"), "`true` or `false`");
                None
            }
        }
    }

    /// A whole number within limits.
    pub(super) fn count(&self, name: &str, least: u32, most: u32, findings: &mut Findings) -> Option<u32> {
        let (key, node) = self.get(name)?;
        let Value::Number(number) = &node.value else {
            wrong_type(findings, node, &key.span, &format!("`{name}`"), "a whole number");
            return None;
        };
        let fits = number.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| (least..=most).contains(n));
        if fits.is_none() {
            out_of_range(findings, name, node, number, &format!("a whole number from {least} to {most}"));
        }
        fits
    }

    /// A number that is at least `least`.
    pub(super) fn factor(&self, name: &str, least: f64, findings: &mut Findings) -> Option<f64> {
        let (key, node) = self.get(name)?;
        let Value::Number(number) = &node.value else {
            wrong_type(findings, node, &key.span, &format!("`{name}`"), "a number");
            return None;
        };
        let fits = number.as_f64().filter(|value| *value >= least);
        if fits.is_none() {
            out_of_range(findings, name, node, number, &format!("at least {least}"));
        }
        fits
    }

    /// `30s`, `5m`, `2h`.
    pub(super) fn duration(&self, name: &str, findings: &mut Findings) -> Option<Duration> {
        let (key, node) = self.get(name)?;
        let text = match &node.value {
            Value::Str(text) => text.clone(),
            Value::Number(number) => number.to_smolstr(),
            _ => {
                wrong_type(findings, node, &key.span, &format!("`{name}`"), "a duration like `30s`");
                return None;
            }
        };
        let parsed = duration::parse(&text);
        if parsed.is_none() {
            let report = findings
                .error(
                    codes::VALUE_DURATION,
                    format!("`{name}` is not a duration: `{text}`"),
                    node.span.clone(),
                )
                .label(if matches!(node.value, Value::Number(_)) { "no unit" } else { "not a duration" });
            match text.parse::<u64>() {
                Ok(number) => {
                    report.help(format!("Write `{number}s` for seconds or `{number}m` for minutes."))
                }
                Err(_) => report.help("Write whole numbers with units: `500ms`, `30s`, `5m`, `1h30m`, `2d`."),
            };
        }
        parsed
    }
}

/// The text of `node`, which is the value of `key`.
pub(super) fn word(node: &Node, key: &Word, findings: &mut Findings) -> Option<Word> {
    match &node.value {
        Value::Str(text) => Some(Word { text: text.clone(), span: node.span.clone() }),
        _ => {
            wrong_type(findings, node, &key.span, &format!("`{}`", key.text), "text");
            None
        }
    }
}

/// Reports that `what` is not `expected`. `at` is where to point if the value itself has no visible place.
pub(super) fn wrong_type(findings: &mut Findings, node: &Node, at: &Span, what: &str, expected: &str) {
    if node.value == Value::BareTemplate {
        return; // Reported while the tree was read.
    }
    let place = if node.span.len == 0 { at.clone() } else { node.span.clone() };
    let report = findings
        .error(codes::YAML_WRONG_TYPE, format!("{what} must be {expected}, not {}", node.kind()), place)
        .label(format!("this is {}", node.kind()));
    match (&node.value, expected) {
        (Value::Number(number), "text") => {
            report.help(format!("Write it in quotes: \"{number}\"."));
        }
        (Value::Bool(value), "text") => {
            report.help(format!("Write it in quotes: \"{value}\"."));
        }
        (Value::Null, _) => {
            report.help("Give it a value, or remove the key.");
        }
        _ => {}
    }
}

/// Reports that a number is too small or too large.
fn out_of_range(findings: &mut Findings, name: &str, node: &Node, number: &Number, expected: &str) {
    findings
        .error(codes::VALUE_RANGE, format!("`{name}` must be {expected}, not {number}"), node.span.clone())
        .label("out of range");
}

/// Reports that `word` is none of `words`.
pub(super) fn unknown_word(findings: &mut Findings, what: &str, word: &Word, words: &[&str]) {
    let meant = findings.meant(&word.text, words.iter().copied());
    let known = list(words.iter().copied()).unwrap_or_default();
    let help = match meant {
        Some(meant) => format!("Did you mean `{meant}`? It is one of {known}."),
        None => format!("It is one of {known}."),
    };
    findings
        .error(codes::VALUE_WORD, format!("{what} cannot be `{}`", word.text), word.span.clone())
        .label("unknown word")
        .help(help);
}
