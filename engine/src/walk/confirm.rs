//! A change that may have been made before a crash: look, never repeat blindly, never guess.

use std::sync::Arc;

use serde_json::Value;

use crate::journal::Journal;
use crate::redact::{GONE, lost};
use crate::run::{Act, Answer, Entry, Verdict};
use crate::step::{Choice, Confirmation, Done, Performed, Question, StepError};

use super::walker::{Flow, WalkError, Walker, step_node};

const PROBE: &str = "probe";
const DONE: &str = "done";
const NOT_DONE: &str = "not_done";
const ABORT: &str = "abort";

fn prompt(act: &Act) -> String {
    format!("Was {} carried out before the run was cut off?", act.kind)
}

impl<J: Journal> Walker<J> {
    /// Settles every change of the visit that is in doubt.
    pub(super) async fn confirm(&mut self, visit: u64, id: &str) -> Result<Flow, WalkError> {
        let plan = Arc::clone(&self.plan);
        let (node, step) = step_node(&plan, id)?;
        let Some((_, current)) = self.state.current() else { return Ok(Flow::On) };
        let in_doubt: Vec<(Option<usize>, Act)> = current
            .intended
            .iter()
            .filter(|(_, intended)| intended.verdict.is_none())
            .map(|(item, intended)| (*item, intended.act.clone()))
            .collect();
        for (item, act) in in_doubt {
            let kind = self
                .world
                .registry
                .get(&act.kind)
                .ok_or_else(|| WalkError::NoStep(act.kind.clone()))?
                .clone();
            let cx = self.cx(visit, id, item);
            let looked = match lost(&act.params) || lost(&act.intent) {
                true => Ok(Confirmation::Unknown(GONE.to_owned())),
                false => kind.confirm(&cx, &act.params, &act.intent).await,
            };
            let (done, by) = match looked {
                Ok(Confirmation::Happened(done)) => (Some(done), PROBE.to_owned()),
                Ok(Confirmation::DidNot) => (None, PROBE.to_owned()),
                // What was agreed to is this whole act, so it is brought to its end without asking once more.
                Ok(Confirmation::Begun(what)) => {
                    if let Some(flow) = self.hold(visit, node, &kind.targets(&act.params)).await? {
                        return Ok(flow);
                    }
                    if let Some(why) = self.lost() {
                        return self.fail(visit, id, why);
                    }
                    match kind.perform(&cx, &act.params, &act.intent).await {
                        Ok(Performed::Done(done)) => {
                            (Some(done), format!("{PROBE}; half of it, and the other half now: {what}"))
                        }
                        Ok(Performed::Ask(..)) => {
                            return self.fail(visit, id, StepError::failed("a change asked a person"));
                        }
                        Err(error) => return self.fail(visit, id, error),
                    }
                }
                Ok(Confirmation::Unknown(why)) => {
                    match self.ask_in_doubt(visit, id, prompt(&act), &act, &why).await? {
                        Ok(decided) => decided,
                        Err(flow) => return Ok(flow),
                    }
                }
                Err(error) => {
                    match self.ask_in_doubt(visit, id, prompt(&act), &act, &error.to_string()).await? {
                        Ok(decided) => decided,
                        Err(flow) => return Ok(flow),
                    }
                }
            };
            let Some(mut done) = done else {
                self.append(Entry::Confirmed { visit, item, verdict: Verdict::DidNot, by })?;
                continue;
            };
            if done.outcome.is_empty() {
                // A person says that it is done: the outcome of success is the first that the step declares.
                done.outcome = step.outcomes.first().cloned().unwrap_or_default();
            }
            done.summary.push(format!("it had happened already ({by})"));
            if let Some(item) = item {
                let result = Ok((done.outcome, done.output));
                self.append(Entry::ItemDone { visit, item, result, changed: true })?;
                continue;
            }
            let names = self.state.names(node);
            return self.finish(visit, node, step, &names, done, true, None);
        }
        Ok(Flow::On)
    }

    /// The inner `Err` is that the walk rests.
    pub(super) async fn ask_in_doubt(
        &mut self,
        visit: u64,
        id: &str,
        prompt: String,
        act: &Act,
        why: &str,
    ) -> Result<Result<(Option<Done<Value>>, String), Flow>, WalkError> {
        let plan = Arc::clone(&self.plan);
        let (node, _) = step_node(&plan, id)?;
        let choice =
            |outcome: &str, label: &str| Choice { outcome: outcome.to_owned(), label: label.to_owned() };
        let question = Question {
            prompt,
            details: vec![format!("with {}", act.params), format!("it cannot be looked up: {why}")],
            choices: vec![
                choice(DONE, "it was carried out: go on after it"),
                choice(NOT_DONE, "it was not: show it and ask again"),
                choice(ABORT, "leave the run as it is"),
            ],
        };
        let at = self.asked_of(visit, node);
        let operator = Arc::clone(&self.world.operator);
        let Answer::Given(chosen) = operator.choose(&at, &question).await else {
            return Ok(Err(self.park(id)?));
        };
        Ok(match chosen.value.as_str() {
            DONE => Ok((Some(Done::new("", Value::Null)), chosen.by)),
            NOT_DONE => Ok((None, chosen.by)),
            _ => Err(self.park(id)?),
        })
    }
}
