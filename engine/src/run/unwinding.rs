//! Changes that are taken back, newest first: what is open, what came of it.

use super::{Act, Position, RunState, Verdict};
use crate::step::{StepError, Undone};

/// What a visit takes back, if it is there for that.
#[derive(Debug, Clone)]
pub struct Undoing {
    /// The visit whose change it is.
    pub of: u64,
    /// Item of a fan-out.
    pub item: Option<usize>,
    /// It was about to be done.
    pub begun: bool,
    /// The step that the runbook names for it, once it is about to be performed.
    pub act: Option<Act>,
}

/// A change of a run and what became of it, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The visit.
    pub visit: u64,
    /// Item of a fan-out.
    pub item: Option<usize>,
    /// The node.
    pub node: String,
    /// Step kind.
    pub kind: String,
    /// It was said at its gate that it cannot be taken back.
    pub irreversible: bool,
    /// Whether it happened is not known.
    pub in_doubt: bool,
    /// What came of taking it back; `None` if that was not tried.
    pub undone: Option<Result<Undone, StepError>>,
}

impl Change {
    /// Nothing of it is left, or a person said to leave it.
    pub fn settled(&self) -> bool {
        settled(self.undone.as_ref())
    }
}

fn settled(undone: Option<&Result<Undone, StepError>>) -> bool {
    matches!(undone, Some(Ok(Undone::Restored(_) | Undone::NothingToDo(_) | Undone::Left(_))))
}

impl RunState {
    /// Every change that was made or may have been, newest first.
    pub fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (at, visit) in self.trail.iter().enumerate().rev() {
            for (item, intended) in visit.intended.iter().rev() {
                if intended.verdict == Some(Verdict::DidNot) && intended.undone.is_none() {
                    continue;
                }
                changes.push(Change {
                    visit: at as u64 + 1,
                    item: *item,
                    node: visit.node.clone(),
                    kind: intended.act.kind.clone(),
                    irreversible: intended.act.reversible.is_none() && intended.act.undo.is_none(),
                    in_doubt: intended.verdict.is_none(),
                    undone: intended.undone.clone(),
                });
            }
        }
        changes
    }

    /// The newest change that is still to be taken back: its visit and item. What provably did not happen needs nothing.
    pub(super) fn next_undo(&self) -> Option<(u64, Option<usize>)> {
        let oldest = self.unwind_to.unwrap_or(1);
        self.changes()
            .into_iter()
            .find(|change| change.visit >= oldest && change.undone.is_none())
            .map(|change| (change.visit, change.item))
    }

    /// Begins to take changes back, again what could not be taken back before.
    pub(super) fn unwind(&mut self) {
        for intended in self.trail.iter_mut().flat_map(|visit| visit.intended.values_mut()) {
            if !settled(intended.undone.as_ref()) {
                intended.undone = None;
            }
        }
        self.position = Position::Unwinding;
    }
}
