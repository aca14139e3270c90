//! Removes secrets and what patterns match from texts, and puts secrets back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Captures, Regex};
use serde_json::Value;

use super::forms::forms;
use super::marks::{REMOVED, literal, part, secret};
use super::texts::Texts;
use crate::dry_run::DryRun;
use crate::event::Event;
use crate::journal::Record;
use crate::run::Entry;
use crate::walk::Ending;

/// The shortest secret, in characters: a shorter one stands in too many other words to be removed by value.
pub const SHORTEST: usize = 4;

/// Characters at the edge of a text that are taken for a part of a secret that was cut off; half as many where the cut is
/// marked.
const EDGE: usize = 8;

/// Why a value cannot be kept secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RedactError {
    /// It stands in other words, too.
    #[error(
        "the secret {0} has fewer than {SHORTEST} characters: it could not be told from other text, nor kept out of it"
    )]
    TooShort(String),
    /// It is written in the runbook.
    #[error("the value of the secret {0} also stands in the runbook, so it is none")]
    InTheOpen(String),
}

/// Removes secrets and what patterns match. Cheap to clone; without either it costs nothing.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Rules>>);

struct Rules {
    /// The secrets, for parts of them.
    secrets: Vec<(String, String)>,
    /// Secrets in all forms, then marks.
    searcher: AhoCorasick,
    /// What stands for each, in the same order.
    words: Vec<Word>,
    /// Marks of secrets.
    marks: AhoCorasick,
    patterns: Vec<Regex>,
}

struct Word {
    text: String,
    mark: String,
    /// It is a mark itself.
    is_mark: bool,
}

/// Whether marks in a text are taken for what they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marks {
    /// The text may have been redacted before.
    Stay,
    /// The text comes from outside: what looks like a mark is none.
    AreText,
}

impl Redactor {
    /// Removes these secrets, by name, and what these patterns match: all of a match, or only its groups where the pattern
    /// has some.
    ///
    /// # Errors
    /// If a secret is too short.
    pub fn new(secrets: &BTreeMap<String, String>, patterns: &[Regex]) -> Result<Self, RedactError> {
        if secrets.is_empty() && patterns.is_empty() {
            return Ok(Self::default());
        }
        let mut words: Vec<Word> = Vec::new();
        for (name, value) in secrets {
            if value.chars().count() < SHORTEST {
                return Err(RedactError::TooShort(name.clone()));
            }
            for (text, form) in forms(value) {
                // What two secrets share is taken for the first.
                if !words.iter().any(|word| word.text == text) {
                    words.push(Word { text, mark: secret(name, &form), is_mark: false });
                }
            }
        }
        let marks: Vec<String> = words.iter().map(|word| word.mark.clone()).collect();
        for mark in marks.iter().map(String::as_str).chain([REMOVED]) {
            words.push(Word { text: mark.to_owned(), mark: literal(mark), is_mark: true });
        }
        let searcher = |texts: Vec<&str>| {
            // The limits that building can run into are in the gigabytes of words.
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts).expect("few words")
        };
        let rules = Rules {
            secrets: secrets.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            searcher: searcher(words.iter().map(|word| word.text.as_str()).collect()),
            marks: searcher(marks.iter().map(String::as_str).collect()),
            words,
            patterns: patterns.to_vec(),
        };
        Ok(Self(Some(Arc::new(rules))))
    }

    /// Whether there is nothing to remove.
    pub fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Checks that no secret stands in a text that is kept as it is: the runbook.
    ///
    /// # Errors
    /// The name of the secret that does.
    pub fn check_open(&self, text: &str) -> Result<(), RedactError> {
        let Some(rules) = &self.0 else { return Ok(()) };
        let mut secrets = rules.secrets.iter();
        match secrets.find(|(_, value)| forms(value).iter().any(|(form, _)| text.contains(form.as_str()))) {
            Some((name, _)) => Err(RedactError::InTheOpen(name.clone())),
            None => Ok(()),
        }
    }

    /// A text for people.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.as_ref().map_or(Cow::Borrowed(text), |rules| rules.replace(text, Marks::Stay))
    }

    /// A text in which only secrets are looked for: one with a syntax that a pattern might tear (JSON).
    pub fn secrets<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(rules) = self.0.as_ref().filter(|rules| !rules.secrets.is_empty()) else {
            return Cow::Borrowed(text);
        };
        rules.words(text, Marks::Stay, |gap| Cow::Borrowed(gap))
    }

    /// Bytes from outside, which may be text, as they are kept.
    pub fn kept(&self, bytes: &[u8]) -> Vec<u8> {
        let replace = |rules: &Rules| {
            let mut kept = Vec::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                kept.extend_from_slice(rules.replace(chunk.valid(), Marks::AreText).as_bytes());
                kept.extend_from_slice(chunk.invalid());
            }
            kept
        };
        self.0.as_deref().map_or_else(|| bytes.to_vec(), replace)
    }

    /// Bytes that were kept, with the secrets in them again.
    pub fn back(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.0 {
            Some(rules) if rules.marks.is_match(&bytes) => {
                let texts: Vec<&str> = rules.secret_texts();
                rules.marks.replace_all_bytes(&bytes, &texts)
            }
            _ => bytes,
        }
    }

    /// A value for people or programs.
    pub fn value(&self, mut value: Value) -> Value {
        self.visit(&mut value, Marks::Stay);
        value
    }

    /// The entry as it is kept; `None` is as it is.
    pub(crate) fn entry(&self, entry: &Entry) -> Option<Entry> {
        let rules = self.0.as_ref()?;
        let mut kept = entry.clone();
        kept.texts(&mut |text| rules.put(text, Marks::AreText));
        Some(kept)
    }

    /// Puts secrets back into what was read from a journal.
    pub(crate) fn restored<'r>(&self, records: &'r [Record]) -> Cow<'r, [Record]> {
        let Some(rules) = self.0.as_ref().filter(|rules| !rules.secrets.is_empty()) else {
            return Cow::Borrowed(records);
        };
        let mut records = records.to_vec();
        for record in &mut records {
            record.entry.texts(&mut |text| rules.restore(text));
        }
        Cow::Owned(records)
    }

    /// The event as others may see it. An entry was redacted before it was written.
    pub(crate) fn event<'e>(&self, event: &'e Event) -> Cow<'e, Event> {
        if self.is_idle() || matches!(event, Event::Recorded(_)) {
            return Cow::Borrowed(event);
        }
        let mut shown = event.clone();
        self.visit(&mut shown, Marks::Stay);
        Cow::Owned(shown)
    }

    /// Where a walk came to rest, for people.
    pub(crate) fn ending(&self, mut ending: Ending) -> Ending {
        self.visit(&mut ending, Marks::Stay);
        ending
    }

    /// What a dry run found, for people.
    pub(crate) fn dry(&self, mut dry: DryRun) -> DryRun {
        self.visit(&mut dry, Marks::Stay);
        dry
    }

    /// What somebody is shown.
    pub(crate) fn shown<T: Texts + Clone>(&self, thing: &T) -> T {
        let mut shown = thing.clone();
        self.visit(&mut shown, Marks::AreText);
        shown
    }

    fn visit(&self, thing: &mut impl Texts, marks: Marks) {
        if let Some(rules) = &self.0 {
            thing.texts(&mut |text| rules.put(text, marks));
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("idle", &self.is_idle()).finish_non_exhaustive()
    }
}

impl Rules {
    fn put(&self, text: &mut String, marks: Marks) {
        if let Cow::Owned(replaced) = self.replace(text, marks) {
            *text = replaced;
        }
    }

    fn replace<'t>(&self, text: &'t str, marks: Marks) -> Cow<'t, str> {
        let text = self.words(text, marks, |gap| self.matched(gap));
        match self.edges(&text) {
            Some(cut) => Cow::Owned(cut),
            None => text,
        }
    }

    /// Replaces secrets, and treats what is between them; marks are not taken apart.
    fn words<'t>(
        &self,
        text: &'t str,
        marks: Marks,
        gap: impl for<'g> Fn(&'g str) -> Cow<'g, str>,
    ) -> Cow<'t, str> {
        let mut matches = self.searcher.find_iter(text).peekable();
        if matches.peek().is_none() {
            return gap(text);
        }
        let (mut replaced, mut from) = (String::with_capacity(text.len()), 0);
        for found in matches {
            replaced.push_str(&gap(&text[from..found.start()]));
            let word = &self.words[found.pattern().as_usize()];
            let stays = word.is_mark && marks == Marks::Stay;
            replaced.push_str(if stays { &word.text } else { &word.mark });
            from = found.end();
        }
        replaced.push_str(&gap(&text[from..]));
        Cow::Owned(replaced)
    }

    fn matched<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for pattern in &self.patterns {
            if let Cow::Owned(replaced) = pattern.replace_all(&text, without) {
                text = Cow::Owned(replaced);
            }
        }
        text
    }

    /// Replaces parts of a secret at the ends of a text that was cut.
    fn edges(&self, text: &str) -> Option<String> {
        let mut cut: Option<String> = None;
        for (name, value) in &self.secrets {
            let now = cut.as_deref().unwrap_or(text);
            if let Some(tail) = tail(now, value) {
                let end = &now[now.trim_end_matches(ELLIPSES).len()..];
                cut = Some(format!("{}{}{end}", &now[..tail], part(name)));
            }
            let now = cut.as_deref().unwrap_or(text);
            if let Some(head) = head(now, value) {
                let start = &now[..now.len() - now.trim_start_matches(ELLIPSES).len()];
                cut = Some(format!("{start}{}{}", part(name), &now[head..]));
            }
        }
        cut
    }

    fn restore(&self, text: &mut String) {
        if text.contains('‹') && self.marks.is_match(text.as_str()) {
            *text = self.marks.replace_all(text, &self.secret_texts());
        }
    }

    /// What the marks stand for, in their order.
    fn secret_texts(&self) -> Vec<&str> {
        self.words.iter().filter(|word| !word.is_mark).map(|word| word.text.as_str()).collect()
    }
}

/// How cuts are marked.
const ELLIPSES: &[char] = &['…', '.'];

/// Where the beginning of the secret begins at the end of the text.
fn tail(text: &str, secret: &str) -> Option<usize> {
    let body = text.trim_end_matches(ELLIPSES);
    let least = if body.len() < text.len() { EDGE / 2 } else { EDGE };
    let begins = secret.char_indices().map(|(at, _)| at).skip(least);
    begins.filter(|at| body.ends_with(&secret[..*at])).last().map(|at| body.len() - at)
}

/// Where the end of the secret ends at the beginning of the text.
fn head(text: &str, secret: &str) -> Option<usize> {
    let body = text.trim_start_matches(ELLIPSES);
    let skipped = text.len() - body.len();
    let least = if skipped > 0 { EDGE / 2 } else { EDGE };
    let chars = secret.chars().count();
    let ends = secret.char_indices().map(|(at, _)| at).skip(1).take(chars.saturating_sub(least));
    let longest = ends.map(|at| &secret[at..]).find(|end| body.starts_with(end));
    longest.map(|end| skipped + end.len())
}

/// A match without its groups, or without anything if it has none.
fn without(captures: &Captures<'_>) -> String {
    let whole = captures.get_match();
    let groups: Vec<_> = captures.iter().skip(1).flatten().collect();
    if groups.is_empty() {
        return if whole.is_empty() { String::new() } else { REMOVED.to_owned() };
    }
    let (mut kept, mut from) = (String::new(), whole.start());
    for group in groups {
        // A group within another is gone with it.
        if group.start() >= from && !group.is_empty() {
            kept.push_str(
                &captures.get_match().as_str()[from - whole.start()..group.start() - whole.start()],
            );
            kept.push_str(REMOVED);
            from = group.end();
        }
    }
    kept.push_str(&whole.as_str()[from - whole.start()..]);
    kept
}

#[cfg(test)]
#[path = "redactor_tests.rs"]
mod tests;
