//! What a framework would resume from, if told to go on from a directory: pure.

use engine::site::DirEntry;

use super::choose::{Candidate, Pick, Survey};
use super::layout::{LATEST, Layout, TRACKER, is_dir, named, requeue_number};
use crate::text::clean_to;

/// What the file that names the last checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tracker {
    /// It is not there, or the layout has none.
    Absent,
    /// It is there and cannot be read.
    Unreadable(String),
    /// Its text, trimmed.
    Says(String),
}

impl Tracker {
    /// The directory that it names.
    pub(crate) fn chosen(&self, layout: Layout) -> Option<String> {
        let Self::Says(text) = self else { return None };
        match layout {
            Layout::Megatron if text == "release" => Some(text.clone()),
            Layout::Megatron => self.number().map(|step| format!("iter_{step:07}")),
            Layout::Deepspeed if !text.is_empty() && !text.contains(['/', '\n']) => Some(text.clone()),
            _ => None,
        }
    }

    /// The number that it holds.
    pub(crate) fn number(&self) -> Option<u64> {
        if let Self::Says(text) = self { text.parse().ok() } else { None }
    }
}

/// The file that names the last checkpoint in a layout.
pub(crate) fn tracker_file(layout: Layout) -> Option<&'static str> {
    match layout {
        Layout::Megatron => Some(TRACKER),
        Layout::Deepspeed => Some(LATEST),
        _ => None,
    }
}

/// What the framework would resume from; `None` if it takes what it is told, or would start from nothing.
/// What is worth knowing goes to the survey's reasons.
pub(crate) fn resume(
    survey: &mut Survey,
    layout: Layout,
    found: &[DirEntry],
    tracker: &Tracker,
) -> Option<Pick> {
    let candidates = &survey.candidates;
    match layout {
        // The highest number, whatever is in it.
        Layout::HfTrainer => candidates.iter().find(|c| !name(c).starts_with("tmp-")).map(pick),
        Layout::Torchtitan => candidates.iter().find(|c| c.complete != Some(false)).map(pick),
        Layout::Nemo => {
            let unfinished =
                |c: &Candidate| found.iter().any(|e| e.name == format!("{}-unfinished", name(c)));
            let last = candidates.iter().filter(|c| name(c).ends_with("-last") && !unfinished(c));
            last.max_by_key(|c| c.modified).map(pick)
        }
        Layout::Lightning => {
            let requeued = candidates.iter().filter_map(|c| Some((requeue_number(name(c))?, c)));
            requeued.max_by_key(|(number, _)| *number).map(|(_, c)| pick(c))
        }
        Layout::Plain | Layout::TorchDcp => None,
        Layout::Megatron | Layout::Deepspeed => tracked(survey, layout, found, tracker),
    }
}

fn tracked(survey: &mut Survey, layout: Layout, found: &[DirEntry], tracker: &Tracker) -> Option<Pick> {
    let file = tracker_file(layout).unwrap_or_default();
    let text = match tracker {
        Tracker::Says(text) => clean_to(text, 40),
        Tracker::Absent => {
            survey.reasons.push(format!("there is no {file}: the framework would start from nothing"));
            return None;
        }
        Tracker::Unreadable(why) => {
            survey.reasons.push(clean_to(why, 160));
            return Some(Pick { path: None, step: None, complete: None });
        }
    };
    let Some(wanted) = tracker.chosen(layout) else {
        survey.reasons.push(format!("{file} says \"{text}\": the framework cannot resume"));
        return Some(Pick { path: None, step: None, complete: Some(false) });
    };
    if let Some(candidate) = survey.candidates.iter().find(|candidate| name(candidate) == wanted) {
        return Some(pick(candidate));
    }
    // A tag may have any name; only those with a step are looked into.
    let there = found.iter().any(|entry| entry.name == wanted && is_dir(entry));
    let state = if there { "was not looked into" } else { "is not there" };
    survey.reasons.push(format!("{file} names {}, which {state}", clean_to(&wanted, 60)));
    let step = named(&wanted, true).and_then(|named| named.step);
    let path = Some(format!("{}/{wanted}", survey.dir));
    Some(Pick { path, step, complete: if there { None } else { Some(false) } })
}

fn name(candidate: &Candidate) -> &str {
    candidate.path.rsplit('/').next().unwrap_or_default()
}

fn pick(candidate: &Candidate) -> Pick {
    Pick { path: Some(candidate.path.clone()), step: candidate.step, complete: candidate.complete }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tracker_names_a_directory_or_nothing() {
        let chosen = |text: &str, layout| Tracker::Says(text.to_owned()).chosen(layout);
        assert_eq!(chosen("5000", Layout::Megatron).as_deref(), Some("iter_0005000"));
        assert_eq!(chosen("release", Layout::Megatron).as_deref(), Some("release"));
        assert_eq!(chosen("50x", Layout::Megatron), None);
        assert_eq!(chosen("global_step7", Layout::Deepspeed).as_deref(), Some("global_step7"));
        assert_eq!(chosen("../../etc", Layout::Deepspeed), None);
    }

    proptest! {
        #[test]
        fn a_tracker_never_leads_out_of_its_directory(text in "[\\PC\n./]{0,40}") {
            for layout in [Layout::Megatron, Layout::Deepspeed] {
                let chosen = Tracker::Says(text.clone()).chosen(layout);
                prop_assert!(chosen.is_none_or(|name| !name.contains('/')));
            }
        }
    }
}
