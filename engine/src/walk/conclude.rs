//! From the step's answer to the node's outcome.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::journal::Journal;
use crate::plan::{Node, StepNode};
use crate::run::{Answer, Entry, Phase};
use crate::step::{Done, StepError, StepErrorKind};
use crate::template::{self, Binding, Names, Standing};

use super::evaluate::broken;
use super::read::Answers;
use super::walker::{Flow, WalkError, Walker, step_node};

/// The outcome of a fan-out whose items do not agree.
pub(crate) const MIXED: &str = "mixed";

/// The outcome of an item whose break was tolerated.
const BROKEN: &str = "broken";

impl<J: Journal> Walker<J> {
    /// Ends the visit with the answers of its items.
    pub(super) fn conclude(
        &mut self,
        visit: u64,
        node: &Node,
        step: &StepNode,
        names: &Names,
        answers: Answers,
        changed: bool,
    ) -> Result<Flow, WalkError> {
        let done = match gather(step, names, answers) {
            Ok(done) => done,
            Err(error) => return self.fail(visit, &node.id, error),
        };
        self.finish(visit, node, step, names, done, changed, None)
    }

    /// Refines the outcome, evaluates `set` and writes the end of the visit.
    #[expect(clippy::too_many_arguments, reason = "what one entry holds")]
    pub(super) fn finish(
        &mut self,
        visit: u64,
        node: &Node,
        step: &StepNode,
        names: &Names,
        done: Done<Value>,
        changed: bool,
        by: Option<String>,
    ) -> Result<Flow, WalkError> {
        let (outcome, set) = match outcome(step, names, &done) {
            Ok(result) => result,
            Err(error) => return self.fail(visit, &node.id, error),
        };
        self.append(Entry::Finished {
            visit,
            node: node.id.clone(),
            outcome,
            output: done.output,
            summary: done.summary,
            set,
            standing: Standing::Known,
            changed,
            by,
        })?;
        Ok(Flow::On)
    }

    /// Puts the node's question to the person.
    pub(super) async fn ask(&mut self, visit: u64, id: &str) -> Result<Flow, WalkError> {
        let plan = std::sync::Arc::clone(&self.plan);
        let (node, step) = step_node(&plan, id)?;
        let Some((_, current)) = self.state.current() else { return Ok(Flow::On) };
        let Phase::Asked { question, output } = current.phase.clone() else { return Ok(Flow::On) };
        let at = self.asked_of(visit, node);
        let operator = std::sync::Arc::clone(&self.world.operator);
        let cancel = self.world.cancel.clone();
        let answer = tokio::select! {
            answer = operator.choose(&at, &question) => answer,
            () = cancel.cancelled() => return Ok(Flow::On),
        };
        let Answer::Given(chosen) = answer else { return self.park(id) };
        let names = self.state.names(node);
        let via = chosen.via.as_ref().map_or_else(String::new, |via| format!(" ({via})"));
        let reason = chosen.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let line = format!("{}{via} chose {}{reason}", chosen.by, chosen.value);
        let done = Done::new(chosen.value, output).line(line);
        self.finish(visit, node, step, &names, done, false, Some(chosen.by))
    }
}

/// The outcome after refinement, and the variables that are set.
pub(crate) fn outcome(
    step: &StepNode,
    names: &Names,
    done: &Done<Value>,
) -> Result<(String, BTreeMap<String, Value>), StepError> {
    let mut output = done.output.clone();
    if let Value::Object(map) = &mut output {
        map.entry("outcome").or_insert_with(|| Value::String(done.outcome.clone()));
    }
    let names = names.with("output", Binding::known(output));
    let mut outcome = done.outcome.clone();
    for (name, expression) in &step.refine {
        // An unknown condition does not refine: the step's own outcome stands.
        if template::condition(expression, &names).map_err(broken)?.value == Some(true) {
            outcome.clone_from(name);
            break;
        }
    }
    if !step.outcomes.contains(&outcome) {
        let message = format!("{} ended with `{outcome}`, which is none of its outcomes", step.kind);
        return Err(StepError::malformed(message));
    }
    let set = step.set.iter().map(|(name, tree)| {
        let evaluated = template::value(tree, &names).map_err(broken)?;
        Ok((name.clone(), evaluated.value))
    });
    Ok((outcome, set.collect::<Result<_, StepError>>()?))
}

/// Lines of items that a fan-out passes on.
const MOST_LINES: usize = 8;

/// The lines of the items, those first whose outcome is rare: one faulty node among sixty is what matters.
fn worth_reading(answers: &Answers) -> Vec<String> {
    let mut done: Vec<&Done<Value>> = answers.values().flatten().collect();
    let count = |outcome: &str| answers.values().flatten().filter(|done| done.outcome == outcome).count();
    done.sort_by_key(|done| count(&done.outcome));
    let lines = done.into_iter().flat_map(|done| done.summary.iter().cloned());
    lines.take(MOST_LINES).collect()
}

/// One answer out of the answers of all items.
pub(crate) fn gather(step: &StepNode, names: &Names, mut answers: Answers) -> Result<Done<Value>, StepError> {
    let Some(fan) = &step.for_each else {
        return answers.remove(&None).unwrap_or_else(|| Err(StepError::failed("the step gave no answer")));
    };
    let broke: Vec<&StepError> = answers.values().filter_map(|answer| answer.as_ref().err()).collect();
    // A hole in a recording is nothing that an item did: however many may break, the run does not go on as if it had answered.
    if let Some(hole) = broke.iter().find(|error| error.kind == StepErrorKind::NotRecorded) {
        return Err((*hole).clone());
    }
    if broke.len() > fan.tolerate as usize {
        let first = broke.first().map_or("", |error| error.message.as_str());
        let kind = broke.first().map_or(StepErrorKind::Failed, |error| error.kind);
        let message = format!(
            "{} of {} items broke, {} may; the first: {first}",
            broke.len(),
            answers.len(),
            fan.tolerate
        );
        return Err(StepError::new(kind, message));
    }
    let mut outcomes: Vec<&str> = answers.values().flatten().map(|done| done.outcome.as_str()).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    // Of one that gave no answer nobody knows that it agrees.
    let outcome = match outcomes[..] {
        [one] if broke.is_empty() => one,
        _ => MIXED,
    }
    .to_owned();
    let total = answers.len();
    let counts: Vec<String> = outcomes
        .iter()
        .map(|word| {
            let count = answers.values().flatten().filter(|done| done.outcome == **word).count();
            format!("{count} of {total} {word}")
        })
        .collect();
    let broken = broke.len();
    let record = |name: &str, value: Value, outcome: &str| {
        Map::from_iter([("outcome".to_owned(), json!(outcome)), (name.to_owned(), value)])
    };
    let list = match template::value(&Value::String(fan.items.clone()), names).map(|list| list.value) {
        Ok(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let items: Vec<Value> = answers
        .iter()
        .map(|(index, answer)| {
            let mut item = match answer {
                Ok(Done { outcome, output: Value::Object(map), .. }) => {
                    let mut map = map.clone();
                    map.insert("outcome".to_owned(), json!(outcome));
                    map
                }
                Ok(done) => record("output", done.output.clone(), &done.outcome),
                Err(error) => record("error", json!(error.message), BROKEN),
            };
            // Whose answer it is; a step that says that by this name itself has the word.
            if let Some(own) = index.and_then(|index| list.get(index)) {
                item.entry("item").or_insert_with(|| own.clone());
            }
            Value::Object(item)
        })
        .collect();
    let mut done = Done::new(outcome, json!({ "items": items }));
    if !counts.is_empty() {
        done = done.line(counts.join(", "));
    }
    done.summary.extend(worth_reading(&answers));
    if broken > 0 {
        done = done.line(format!("{broken} of {total} gave no answer"));
    }
    Ok(done)
}
