//! Which checkpoint is the newest complete one, and which one the framework would take: pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::layout::Layout;

/// One checkpoint, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Candidate {
    /// Step after which it was written; null if only its inside tells.
    pub(crate) step: Option<u64>,
    /// Path.
    pub(crate) path: String,
    /// Whether everything that belongs to it is there; null if that cannot be told.
    pub(crate) complete: Option<bool>,
    /// Size of its files, bytes.
    pub(crate) bytes: Option<u64>,
    /// Last modification of its files.
    #[schemars(with = "Option<String>")]
    pub(crate) modified: Option<Timestamp>,
    /// Why it is complete, or not, or why that cannot be told.
    pub(crate) why: String,
    /// Whether its files changed while it was looked at; null if it was looked at only once.
    pub(crate) writing: Option<bool>,
    /// Whether it can be resumed with another number of ranks; null if its files do not tell.
    pub(crate) other_world_size: Option<bool>,
}

/// What the framework takes if it is told to resume from this directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Pick {
    /// Path; null if the file that names it is unreadable.
    pub(crate) path: Option<String>,
    /// Its step.
    pub(crate) step: Option<u64>,
    /// Whether it is complete.
    pub(crate) complete: Option<bool>,
}

/// The checkpoints of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The directory that holds them.
    pub(crate) dir: String,
    /// Why the directory could not be read; nothing below is known then.
    pub(crate) unreadable: Option<String>,
    /// How it is laid out; `None`: like nothing known.
    pub(crate) layout: Option<Layout>,
    /// The newest first: by step, those that do not tell it last.
    pub(crate) candidates: Vec<Candidate>,
    /// What the framework would resume from; `None`: what it is told to, or nothing.
    pub(crate) resume_pick: Option<Pick>,
    /// What is worth knowing.
    pub(crate) reasons: Vec<String>,
}

/// What a survey comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is a complete checkpoint.
    Found,
    /// There is none.
    None,
    /// The framework would resume from an incomplete one.
    Torn,
    /// It cannot be told.
    Unknown,
}

impl Survey {
    /// The newest complete checkpoint, of a step below `before` if that is given.
    pub(crate) fn newest(&self, before: Option<u64>) -> Option<&Candidate> {
        self.eligible(before).find(|candidate| candidate.complete == Some(true))
    }

    /// The newest of which it cannot be told whether it is complete.
    pub(crate) fn doubtful(&self, before: Option<u64>) -> Option<&Candidate> {
        self.eligible(before).find(|candidate| candidate.complete.is_none())
    }

    /// One by its path.
    pub(crate) fn at(&self, path: &str) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.path == path)
    }

    fn eligible(&self, before: Option<u64>) -> impl Iterator<Item = &Candidate> {
        self.candidates
            .iter()
            .filter(move |c| before.is_none_or(|before| c.step.is_some_and(|step| step < before)))
    }

    /// What it comes to.
    pub(crate) fn outcome(&self, before: Option<u64>) -> Outcome {
        if self.unreadable.is_some() {
            return Outcome::Unknown;
        }
        if self.resume_pick.as_ref().is_some_and(|pick| pick.complete == Some(false)) {
            return Outcome::Torn;
        }
        let newest = self.newest(before);
        // What it would take is not known to be whole, and is not the one that is.
        let doubt =
            |pick: &&Pick| pick.complete.is_none() && pick.path.as_ref() != newest.map(|newest| &newest.path);
        if self.resume_pick.as_ref().is_some_and(|pick| doubt(&pick)) {
            return Outcome::Unknown;
        }
        match (newest, self.doubtful(before)) {
            (Some(_), _) => Outcome::Found,
            (None, Some(_)) => Outcome::Unknown,
            (None, None) if self.layout.is_none() && !self.reasons.is_empty() => Outcome::Unknown,
            (None, None) => Outcome::None,
        }
    }
}

/// Sorts the newest first: by step, then by time; those without a step last.
pub(crate) fn sort(candidates: &mut [Candidate]) {
    candidates
        .sort_by(|a, b| (b.step, b.modified).cmp(&(a.step, a.modified)).then_with(|| a.path.cmp(&b.path)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(step: Option<u64>, complete: Option<bool>) -> Candidate {
        let path = format!("/out/{step:?}");
        Candidate {
            step,
            path,
            complete,
            bytes: None,
            modified: None,
            why: String::new(),
            writing: None,
            other_world_size: None,
        }
    }

    fn survey(list: &[(u64, Option<bool>)], pick: Option<Option<bool>>) -> Survey {
        let mut candidates: Vec<Candidate> =
            list.iter().map(|(step, c)| candidate(Some(*step), *c)).collect();
        sort(&mut candidates);
        let resume_pick = pick.map(|complete| Pick { path: None, step: None, complete });
        Survey { layout: Some(Layout::HfTrainer), candidates, resume_pick, ..Survey::default() }
    }

    #[test]
    fn the_outcomes() {
        let yes = Some(true);
        assert_eq!(survey(&[(100, yes), (200, yes)], Some(yes)).outcome(None), Outcome::Found);
        assert_eq!(survey(&[(100, yes), (200, Some(false))], Some(Some(false))).outcome(None), Outcome::Torn);
        assert_eq!(survey(&[(100, Some(false))], None).outcome(None), Outcome::None);
        assert_eq!(survey(&[(100, None)], None).outcome(None), Outcome::Unknown);
        assert_eq!(survey(&[(100, yes), (200, None)], Some(None)).outcome(None), Outcome::Unknown);
        assert_eq!(survey(&[(100, yes), (200, yes)], None).outcome(Some(100)), Outcome::None);
        assert_eq!(survey(&[(100, yes), (200, yes)], None).newest(Some(200)).unwrap().step, Some(100));
        assert_eq!(
            Survey { unreadable: Some("x".into()), ..Survey::default() }.outcome(None),
            Outcome::Unknown
        );
    }

    proptest! {
        #[test]
        fn the_newest_is_complete_and_none_that_is_complete_is_newer(list in proptest::collection::vec((0u64..50, any::<Option<bool>>()), 0..20)) {
            let survey = survey(&list, None);
            let best = list.iter().filter(|(_, complete)| *complete == Some(true)).map(|(step, _)| *step).max();
            prop_assert_eq!(survey.newest(None).and_then(|c| c.step), best);
        }
    }
}
