//! What lists of runs say of one, derived from its journal.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Head, Record};
use crate::plan::{EndKind, Plan};
use crate::run::{Entry, Phase, Position, RunId, RunState};

/// What a list of runs says of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The run.
    pub run: RunId,
    /// The runbook.
    pub runbook: String,
    /// How far it is.
    pub state: SummaryState,
    /// How it ended, if it did.
    pub end: Option<EndKind>,
    /// What it is about.
    pub target: String,
    /// When it was started.
    pub started: Timestamp,
    /// The node at which it stands or ended.
    pub node: Option<String>,
    /// Where its journal ended when a process last let go of it: what is cut off later is missed.
    #[serde(default)]
    pub head: Option<Head>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SummaryState {
    /// A process walks it.
    Running,
    /// It waits for a person's answer.
    Parked,
    /// A step broke or a person said no; it waits with its evidence.
    Held,
    /// It was interrupted, or its process died; `resume` continues it.
    Interrupted,
    /// Taking its changes back came to one that could not be.
    Stuck,
    /// What it changed was taken back.
    RolledBack,
    /// It is over.
    Ended,
}

/// The plan and the state that records add up to.
///
/// # Errors
/// What does not fit, in words.
pub fn fold(records: &[Record]) -> Result<(Plan, RunState), String> {
    let first = records.first().ok_or("the journal is empty")?;
    let mut state = RunState::new(&first.entry, first.at).map_err(|error| error.to_string())?;
    let Entry::Started(started) = &first.entry else {
        return Err("the journal does not begin with a start".to_owned());
    };
    let plan = Plan::new(Arc::clone(&started.plan)).map_err(|error| error.to_string())?;
    for record in &records[1..] {
        state.apply(&plan, &record.entry).map_err(|error| format!("entry {}: {error}", record.seq))?;
    }
    Ok((plan, state))
}

/// What a list says of a run in this state, that no process walks.
pub fn summarize(state: &RunState) -> Summary {
    let started = &state.started;
    let current = state.current().map(|(_, visit)| visit);
    let (word, end, node) = match &state.position {
        Position::Ended { end, .. } => (SummaryState::Ended, Some(*end), None),
        Position::Held => (SummaryState::Held, None, None),
        Position::Stuck => (SummaryState::Stuck, None, None),
        Position::RolledBack => (SummaryState::RolledBack, None, None),
        Position::Before(node) => (SummaryState::Interrupted, None, Some(node.clone())),
        Position::In | Position::Unwinding => match current.map(|visit| &visit.phase) {
            Some(Phase::Gate { .. } | Phase::Asked { .. }) => (SummaryState::Parked, None, None),
            _ => (SummaryState::Interrupted, None, None),
        },
    };
    Summary {
        run: started.run.clone(),
        runbook: started.plan.runbook.clone(),
        state: word,
        end,
        target: started.target.clone(),
        started: state.since,
        node: node.or_else(|| current.map(|visit| visit.node.clone())),
        head: None,
    }
}
