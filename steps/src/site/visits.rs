//! The numbers of visits in a recording, where the runbook was edited since and its visits are counted otherwise.
//!
//! What a run leaves in the world carries its id and the visit, `{run}/12`. A question that was recorded with another number
//! is the same question; from then on that number stands for this one.

use std::collections::BTreeMap;

const MARK: &str = "{run}/";

/// Recorded visits by those of the replay.
#[derive(Debug, Clone, Default)]
pub(super) struct Visits(BTreeMap<String, String>);

impl Visits {
    /// A text of the replay with the recorded numbers.
    pub(super) fn recorded(&self, text: &str) -> String {
        numbered(text, |visit| self.0.get(visit).map_or(visit, String::as_str))
    }

    /// A recorded text with the numbers of the replay.
    pub(super) fn replayed(&self, bytes: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) if !self.0.is_empty() => {
                let of = |recorded| self.0.iter().find(|(_, known)| known.as_str() == recorded);
                numbered(text, |visit| of(visit).map_or(visit, |(replayed, _)| replayed)).into_bytes()
            }
            _ => bytes.to_vec(),
        }
    }

    /// Takes two forms of one question for the same.
    pub(super) fn learn(&mut self, replayed: &str, recorded: &str) {
        for (replayed, recorded) in visits(replayed).into_iter().zip(visits(recorded)) {
            self.0.insert(replayed.to_owned(), recorded.to_owned());
        }
    }
}

/// A question without the numbers of visits; `None` if it has none.
pub(super) fn unnumbered(text: &str) -> Option<String> {
    (!visits(text).is_empty()).then(|| numbered(text, |_| "#"))
}

fn visits(text: &str) -> Vec<&str> {
    let digits = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
    text.split(MARK).skip(1).map(|rest| &rest[..digits(rest)]).filter(|visit| !visit.is_empty()).collect()
}

fn numbered<'t>(text: &'t str, mut number: impl FnMut(&'t str) -> &'t str) -> String {
    let mut parts = text.split(MARK);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        result.push_str(MARK);
        result.push_str(if digits == 0 { "" } else { number(&part[..digits]) });
        result.push_str(&part[digits..]);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_for_another() {
        let mut visits = Visits::default();
        assert_eq!(unnumbered("--comment={run}/13 x"), Some("--comment={run}/# x".to_owned()));
        assert_eq!(unnumbered("squeue {run}"), None);
        visits.learn("--comment={run}/13 x", "--comment={run}/12 x");
        visits.learn("{run}/14.2", "{run}/13.2");
        assert_eq!(
            visits.recorded("a {run}/13, {run}/14.2, {run}/9 {run}/"),
            "a {run}/12, {run}/13.2, {run}/9 {run}/"
        );
        assert_eq!(visits.replayed(b"{run}/12 {run}/13.0"), b"{run}/13 {run}/14.0");
    }
}
