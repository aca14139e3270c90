//! What is left to do.

use engine::journal::SummaryState;
use engine::run::RunState;
use engine::step::Undone;
use engine::walk::Ending;

use super::gather::Gathered;
use super::model::{Chain, GateState};

/// What is left to do, a line each.
pub(super) fn open(
    gathered: &Gathered<'_>,
    state: &RunState,
    summary: SummaryState,
    chain: &Chain,
) -> Vec<String> {
    let run = &state.started.run;
    let live = state.started.mode == engine::run::Mode::Live;
    let title = |node: &str| {
        let found = gathered.plan().nodes.iter().find(|found| found.id == node);
        found.map_or_else(|| node.to_owned(), |found| found.title.clone())
    };
    let mut lines = Vec::new();
    match Ending::of(state) {
        _ if summary == SummaryState::Running => {
            lines.push("the run goes on: this is how far it was".to_owned())
        }
        Ending::Ended { end: engine::plan::EndKind::Escalated, message, .. } => {
            lines.push(message.unwrap_or_else(|| "a person has to take over".to_owned()));
        }
        Ending::Ended { .. } | Ending::RolledBack { .. } => {}
        Ending::Parked { node } => {
            let gate = gathered.gates.last().filter(|gate| gate.state == GateState::Open);
            let asks = gate.map(|gate| gate.prompt.clone());
            let question = gathered.questions.last().filter(|question| question.chosen.is_none());
            let asks = asks.or_else(|| question.map(|question| question.prompt.clone())).unwrap_or_default();
            lines.push(format!("an answer at {}: {asks}", title(&node)));
        }
        Ending::Held { node, why, help } => {
            lines.push(format!("it is held at {}: {why}", title(&node)));
            lines.extend(help);
        }
        Ending::Stuck { node, why, .. } => lines.push(format!("taking {} back: {why}", title(&node))),
        Ending::Locked { .. } | Ending::Interrupted => lines.push("it was stopped before its end".to_owned()),
    }
    for change in state.changes() {
        let name = format!("{} (visit {})", title(&change.node), change.visit);
        if change.in_doubt {
            lines.push(format!("whether it happened is not known: {name}"));
        } else if matches!(&change.undone, Some(Err(_) | Ok(Undone::Cannot(_)))) {
            lines.push(format!("could not be taken back: {name}"));
        }
    }
    if live && summary != SummaryState::Running {
        match Ending::of(state) {
            Ending::Ended { .. } | Ending::RolledBack { .. } => {}
            Ending::Stuck { .. } => lines.push(format!("go on with: runbook rollback {run}")),
            _ => lines.push(format!("go on with: runbook resume {run}")),
        }
    }
    if !chain.holds {
        lines.push(format!("the journal is not what was written: runbook runs verify {run}"));
    }
    lines
}
