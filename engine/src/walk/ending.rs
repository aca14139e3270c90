//! Where a walk came to rest.

use crate::plan::EndKind;
use crate::run::{Change, Phase, Position, RunId, RunState};
use crate::step::Undone;

/// Where a walk came to rest.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "the ending decides the exit code and what to tell the person"]
pub enum Ending {
    /// At an end node.
    Ended {
        /// How.
        end: EndKind,
        /// The node.
        node: String,
        /// What was found, what is left to do.
        message: Option<String>,
    },
    /// At a gate or a question that nobody answered.
    Parked {
        /// The node.
        node: String,
    },
    /// At a break, or at a "no" without an edge; the evidence is kept.
    Held {
        /// The node.
        node: String,
        /// Why.
        why: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// A change could not be taken back, and those before it were not tried.
    Stuck {
        /// The node whose change it is.
        node: String,
        /// Why.
        why: String,
        /// All changes of the run, newest first, with what became of them.
        changes: Vec<Change>,
    },
    /// What was to be taken back is.
    RolledBack {
        /// The node that broke and why, if that is why.
        broke: Option<(String, String)>,
        /// All changes of the run, newest first, with what became of them.
        changes: Vec<Change>,
    },
    /// Another run acts on the target.
    Locked {
        /// The node that would have acted on it.
        node: String,
        /// Who has it, since when.
        why: String,
        /// The run that has it.
        holder: RunId,
    },
    /// The person stopped it.
    Interrupted,
}

impl Ending {
    /// Where a run rests that no process walks, as its journal has it. That somebody else had its target is not in there: it
    /// can be gone on with, like one that was interrupted.
    pub fn of(state: &RunState) -> Self {
        let current = state.current().map(|(_, visit)| visit);
        let node = || current.map(|visit| visit.node.clone()).unwrap_or_default();
        match &state.position {
            Position::Ended { end, node, message } => {
                Self::Ended { end: *end, node: node.clone(), message: message.clone() }
            }
            Position::RolledBack => Self::rolled_back(state),
            Position::Stuck => Self::stuck(state),
            Position::Held => {
                let (why, help) = match current.map(|visit| &visit.phase) {
                    Some(Phase::Failed(error)) => (error.message.clone(), error.help.clone()),
                    Some(Phase::Declined) => ("declined at the gate".to_owned(), None),
                    _ => ("held".to_owned(), None),
                };
                Self::Held { node: node(), why, help }
            }
            Position::Before(_) => Self::Interrupted,
            Position::In | Position::Unwinding => match current.map(|visit| &visit.phase) {
                Some(Phase::Gate { .. } | Phase::Asked { .. }) => Self::Parked { node: node() },
                _ => Self::Interrupted,
            },
        }
    }

    fn rolled_back(state: &RunState) -> Self {
        let visit = state.trail.iter().rev().find(|visit| visit.undoing.is_none());
        let broke = visit.and_then(|visit| match &visit.phase {
            Phase::Failed(error) => Some((visit.node.clone(), error.message.clone())),
            _ => None,
        });
        Self::RolledBack { broke, changes: state.changes() }
    }

    fn stuck(state: &RunState) -> Self {
        let changes = state.changes();
        let stuck = changes.iter().find_map(|change| match change.undone.as_ref()? {
            Err(error) => Some((change.node.clone(), error.to_string())),
            Ok(Undone::Cannot(why)) => Some((change.node.clone(), why.clone())),
            Ok(_) => None,
        });
        let (node, why) = stuck.unwrap_or_default();
        Self::Stuck { node, why, changes }
    }
}
