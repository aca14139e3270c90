//! What was shown and agreed by whom.

use engine::run::{Gate as Shown, GateItem};
use engine::step::Price;

use super::model::{Diff, Gate, GateState, Item, Lost, Priced};
use crate::terminal::priced;

/// A price, also in words.
pub(super) fn price(price: &Price) -> Priced {
    Priced { price: price.clone(), words: priced(price) }
}

/// The price of all changes together.
pub(super) fn lost(all: &Price) -> Lost {
    let since = "since the last good checkpoint";
    let hours = |hours: f64| format!("{hours:.1} GPU-hours");
    let words = match (all.steps_lost, all.gpu_hours_lost) {
        (Some(0), Some(0.0)) => "nothing".to_owned(),
        (Some(steps), Some(lost)) => format!("{steps} steps and {} {since}", hours(lost)),
        (Some(steps), None) => format!("{steps} steps {since}; how many GPU-hours is not known"),
        (None, Some(lost)) => format!("{} {since}; how many steps is not known", hours(lost)),
        (None, None) => "not known".to_owned(),
    };
    Lost {
        nodes: all.nodes.clone(),
        users: all.users.clone(),
        jobs: all.jobs.clone(),
        steps: all.steps_lost,
        gpu_hours: all.gpu_hours_lost,
        words,
    }
}

/// What a gate shows of a change.
pub(super) fn item(item: &GateItem) -> Item {
    let diff =
        |diff: &engine::step::FileDiff| Diff { path: diff.path.clone(), unified: diff.unified.clone() };
    Item {
        target: item.target.clone(),
        commands: item.commands.clone(),
        diffs: item.diffs.iter().map(diff).collect(),
        notes: item.notes.clone(),
        undo: item.undo.clone(),
        price: price(&item.price),
        digest: item.digest.clone(),
    }
}

/// What came of a gate that was answered so. `last`: it was not asked anew.
pub(super) fn state(gate: &Gate, shown: &Shown, last: bool, rehearsal: bool) -> GateState {
    let counts = || gate.answers.iter().filter(|answer| answer.refused.is_none());
    let mut agreed: Vec<&str> =
        counts().filter(|answer| answer.approved).map(|answer| answer.by.as_str()).collect();
    agreed.sort_unstable();
    agreed.dedup();
    // In a rehearsal one word stands for everybody who would have to agree.
    let needed = if rehearsal { 1 } else { shown.rule.by as usize };
    if counts().any(|answer| !answer.approved) {
        GateState::Declined
    } else if !last {
        GateState::Void
    } else if agreed.len() >= needed {
        GateState::Agreed
    } else {
        GateState::Open
    }
}
