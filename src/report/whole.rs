//! The whole report of a run.

use engine::journal::{Record, Summary};
use engine::run::{Entry, Mode, Position, RunState};
use engine::step::Registry;

use super::gates::lost;
use super::gather::Gathered;
use super::model::{Chain, End, FORMAT, Report};
use super::open::open;

/// What a report says of the run with these records. `registry` knows the units of what its steps yield.
///
/// # Errors
/// If the records do not add up, in words.
pub(crate) fn report(
    records: &[Record],
    state: &RunState,
    summary: &Summary,
    chain: Chain,
    registry: &Registry,
) -> Result<Report, String> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Err("the journal is empty".to_owned());
    };
    let Entry::Started(started) = &first.entry else {
        return Err("the journal does not begin with a start".to_owned());
    };
    let mut gathered = Gathered::new(started, first.at, registry);
    records.iter().for_each(|record| gathered.note(record));
    gathered.close(state, last.at);
    let end = match &state.position {
        Position::Ended { end, node, message } => {
            Some(End { kind: end.word().to_owned(), node: node.clone(), message: message.clone() })
        }
        _ => None,
    };
    let plan = &started.plan;
    Ok(Report {
        format: FORMAT,
        run: started.run.to_string(),
        runbook: plan.runbook.clone(),
        title: plan.title.clone(),
        severity: plan.severity.clone(),
        runbook_digest: plan.source_digest.clone(),
        program: started.program.clone(),
        recording: match &started.mode {
            Mode::Live => None,
            Mode::Rehearsal { recording } => Some(recording.clone()),
        },
        target: started.target.clone(),
        inputs: started.inputs.clone(),
        started: first.at.to_string(),
        last: last.at.to_string(),
        seconds: last.at.duration_since(first.at).as_secs_f64().max(0.0),
        waited_seconds: gathered.timeline.iter().map(|moment| moment.waited_seconds).sum(),
        state: summary.state,
        end,
        lost: lost(&gathered.cost()),
        open: open(&gathered, state, summary.state, &chain),
        chain,
        operators: gathered.operators,
        timeline: gathered.timeline,
        evidence: gathered.evidence,
        memory: gathered.memory,
        gates: gathered.gates,
        questions: gathered.questions,
        undone: gathered.undone,
        path: gathered.path,
    })
}
