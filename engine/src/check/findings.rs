//! Where diagnostics are collected.

use std::collections::HashSet;

use crate::diagnostic::{Diagnostic, Severity, Span};

/// Names compared for all suggestions of one check; a hostile file must not make it slow.
const COMPARISONS: usize = 200_000;

/// Everything found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<Diagnostic>,
    compared: usize,
}

impl Findings {
    /// Adds an error; the rest of it is said by the methods of [`Report`].
    pub(crate) fn error(&mut self, code: &'static str, message: impl Into<String>, at: Span) -> Report<'_> {
        self.add(Severity::Error, code, message.into(), at)
    }

    /// Adds a warning.
    pub(crate) fn warning(&mut self, code: &'static str, message: impl Into<String>, at: Span) -> Report<'_> {
        self.add(Severity::Warning, code, message.into(), at)
    }

    fn add(&mut self, severity: Severity, code: &'static str, message: String, at: Span) -> Report<'_> {
        let report =
            Diagnostic { code, severity, message, at, label: String::new(), related: Vec::new(), help: None };
        self.found.push(report);
        let last = self.found.len() - 1;
        Report(&mut self.found[last])
    }

    /// Nothing yet, for a part that is looked at at the same time as others: all may compare what is left.
    pub(crate) fn part(&self) -> Self {
        Self { found: Vec::new(), compared: self.compared }
    }

    /// Adds what was found in a part.
    pub(crate) fn add_part(&mut self, part: Self) {
        self.found.extend(part.found);
        self.compared = self.compared.max(part.compared);
    }

    /// Whether nothing was found.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many errors were found.
    pub(crate) fn errors(&self) -> usize {
        self.found.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// Whether a file has errors of some codes.
    pub(crate) fn any_in(&self, file: usize, code: impl Fn(&str) -> bool) -> bool {
        let error = |found: &&Diagnostic| found.severity == Severity::Error && found.at.file == file;
        self.found.iter().filter(error).any(|found| code(found.code))
    }

    /// All findings by place, each once (a value repeated by an alias is written once).
    pub(crate) fn into_sorted(self) -> Vec<Diagnostic> {
        let mut found = self.found;
        found.sort_by(|a, b| (&a.at, a.severity, a.code).cmp(&(&b.at, b.severity, b.code)));
        let mut seen = HashSet::new();
        found.retain(|one| seen.insert((one.at.clone(), one.code, one.message.clone())));
        found
    }

    /// The name that was probably meant.
    pub(crate) fn meant<'n>(
        &mut self,
        written: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<&'n str> {
        if written.len() > 64 {
            return None;
        }
        let mut best: Option<(f64, &str)> = None;
        for name in names {
            if self.compared >= COMPARISONS {
                break;
            }
            self.compared += 1;
            if name.len() > 64 {
                continue;
            }
            let score = likeness(written, name);
            if best.is_none_or(|(top, _)| score > top) {
                best = Some((score, name));
            }
        }
        best.filter(|(score, _)| *score >= 0.6).map(|(_, name)| name)
    }
}

/// One minus the edits per character; swapped neighbours are one edit, a whole word of several counts as near.
fn likeness(written: &str, name: &str) -> f64 {
    let edits = strsim::normalized_damerau_levenshtein(written, name);
    let part =
        |long: &str, short: &str| short.len() >= 3 && long.split(['_', '.', '-']).any(|word| word == short);
    if part(name, written) || part(written, name) { edits.max(0.65) } else { edits }
}

/// A diagnostic that is being written.
pub(crate) struct Report<'a>(&'a mut Diagnostic);

impl Report<'_> {
    /// What to say under the caret.
    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        self.0.label = label.into();
        self
    }

    /// Another place that matters.
    pub(crate) fn related(self, at: Span, label: impl Into<String>) -> Self {
        self.0.related.push((at, label.into()));
        self
    }

    /// What to do.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// "did you mean", or else what there is.
    pub(crate) fn help_meant<'n>(
        self,
        meant: Option<&str>,
        what: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let help = match meant {
            Some(name) => format!("Did you mean `{name}`?"),
            None => match list(names) {
                Some(list) => format!("{what}: {list}."),
                None => return self,
            },
        };
        self.help(help)
    }
}

/// `` `a`, `b`, `c` `` and how many more; `None` if there are none.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    const SHOWN: usize = 16;
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.count();
    let list = shown.join(", ");
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(list),
        (false, more) => Some(format!("{list} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near_or_absent() {
        let mut findings = Findings::default();
        let mut meant = |written, names: &[&'static str]| findings.meant(written, names.iter().copied());
        assert_eq!(meant("by_hnad", &["by_hand", "done"]), Some("by_hand"));
        assert_eq!(meant("tride", &["tried", "free"]), Some("tried"));
        assert_eq!(meant("scancel", &["slurm.cancel", "slurm.job"]), None);
        assert_eq!(meant("cancel", &["slurm.cancel", "slurm.job"]), Some("slurm.cancel"));
        assert_eq!(meant("zzz", &["by_hand", "done"]), None);
        assert_eq!(meant("x", &[]), None);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
        assert!(list(names.iter().map(String::as_str)).unwrap().ends_with("`n15` and 4 more"));
        assert_eq!(list([]), None);
    }
}
