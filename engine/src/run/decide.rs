//! What comes next: a pure function of the plan and the state, the same for a live run and a resumed one.

use super::{Phase, Position, RunState};
use crate::plan::{Body, EndKind, Plan};

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Visit this node: evaluate, preview, ask, act.
    Visit {
        /// The visit's number.
        visit: u64,
        /// The node.
        node: String,
    },
    /// This node was visited as often as it may be.
    TooOften {
        /// The number the visit would have.
        visit: u64,
        /// The node.
        node: String,
        /// Visits allowed.
        max: u32,
    },
    /// A change of this visit may have been made: look, do not repeat.
    Confirm {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
    },
    /// The node's question waits for a person.
    Ask {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
    },
    /// Enter the runbook that this node runs.
    Enter {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
    },
    /// An inlined runbook ended: the node that ran it has its outcome.
    Leave {
        /// The end node inside.
        end_node: String,
        /// The end.
        end: EndKind,
    },
    /// The run ends here.
    End {
        /// The end node.
        node: String,
        /// The end.
        end: EndKind,
    },
    /// Look at a change to take it back, in a visit of its own.
    BeginUndo {
        /// The new visit.
        visit: u64,
        /// The visit whose change it is.
        of: u64,
        /// Item of a fan-out.
        item: Option<usize>,
    },
    /// Take back the change that this visit is there for.
    Undo {
        /// The visit.
        visit: u64,
    },
    /// Everything that could be taken back was.
    Unwound,
    /// Nothing: a person has to resume it.
    Held,
    /// Nothing: it is over.
    Over,
}

/// What comes next.
pub fn decide(plan: &Plan, state: &RunState) -> Decision {
    match &state.position {
        Position::Ended { .. } | Position::RolledBack => Decision::Over,
        Position::Held | Position::Stuck => Decision::Held,
        Position::Unwinding => unwind(state),
        Position::Before(node) => before(plan, state, node),
        Position::In => within(state),
    }
}

fn before(plan: &Plan, state: &RunState, id: &str) -> Decision {
    let visit = state.next_visit();
    let node = id.to_owned();
    // `Plan::new` has checked that every target exists.
    let Some(found) = plan.node(id) else { return Decision::Held };
    let max = match &found.body {
        Body::Step(step) => step.max_visits,
        Body::Enter(enter) => enter.max_visits,
        Body::End { end, .. } if found.scope.is_empty() => return Decision::End { node, end: *end },
        Body::End { end, .. } => return Decision::Leave { end_node: node, end: *end },
    };
    match max {
        Some(max) if state.visits(id) >= max => Decision::TooOften { visit, node, max },
        _ if matches!(found.body, Body::Enter(_)) => Decision::Enter { visit, node },
        _ => Decision::Visit { visit, node },
    }
}

fn within(state: &RunState) -> Decision {
    let Some((visit, current)) = state.current() else { return Decision::Held };
    let node = current.node.clone();
    match &current.phase {
        Phase::Acting if current.in_doubt() => Decision::Confirm { visit, node },
        // Every change of a fan-out is settled: the items that have no answer yet are begun.
        Phase::Acting => Decision::Visit { visit, node },
        Phase::Asked { .. } => Decision::Ask { visit, node },
        Phase::Fresh | Phase::Gate { .. } | Phase::Approved(_) => Decision::Visit { visit, node },
        Phase::Failed(_) | Phase::Declined | Phase::Finished(_) => Decision::Held,
    }
}

fn unwind(state: &RunState) -> Decision {
    if let Some((visit, current)) = state.current()
        && current.undoing.is_some()
        && !matches!(current.phase, Phase::Finished(_) | Phase::Declined)
    {
        return Decision::Undo { visit };
    }
    match state.next_undo() {
        Some((of, item)) => Decision::BeginUndo { visit: state.next_visit(), of, item },
        None => Decision::Unwound,
    }
}
