//! A visit that alters nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::journal::Journal;
use crate::plan::{Node, StepNode};
use crate::run::Entry;
use crate::step::{Done, Performed, Step, StepError};

use super::attempt::Attempt;
use super::evaluate::{Item, blame_unknown};
use super::walker::{Flow, WalkError, Walker};

/// The answers of all items.
pub(super) type Answers = BTreeMap<Option<usize>, Result<Done<Value>, StepError>>;

impl<J: Journal> Walker<J> {
    /// Performs a read, its items side by side, and concludes.
    pub(super) async fn read(
        &mut self,
        visit: u64,
        node: &Node,
        step: &StepNode,
        kind: Arc<dyn Step>,
        items: Vec<Item>,
    ) -> Result<Flow, WalkError> {
        let names = items.first().map(|item| item.names.clone()).unwrap_or_default();
        let at_once = step.for_each.as_ref().map_or(1, |fan| fan.at_once.max(1)) as usize;
        let mut waiting = items.into_iter();
        let mut running = JoinSet::new();
        let mut answers = Answers::new();
        loop {
            while running.len() < at_once
                && let Some(item) = waiting.next()
            {
                let attempt = self.attempt(visit, node, step, Arc::clone(&kind), &item);
                let Item { index, params, .. } = item;
                running.spawn(async move {
                    (index, attempt.read().await.map_err(|error| blame_unknown(error, &params)))
                });
            }
            let joined = tokio::select! {
                joined = running.join_next() => joined,
                () = self.world.cancel.cancelled() => return Ok(Flow::On),
            };
            let Some(joined) = joined else { break };
            let (index, result) =
                joined.unwrap_or_else(|error| (None, Err(StepError::failed(format!("{error}")))));
            match result {
                Ok(Performed::Done(done)) => drop(answers.insert(index, Ok(done))),
                Ok(Performed::Ask(question, output)) if index.is_none() => {
                    self.append(Entry::Asked { visit, node: node.id.clone(), question, output })?;
                    return Ok(Flow::On);
                }
                Ok(Performed::Ask(..)) => {
                    let error = StepError::failed("a step that asks a person cannot be fanned out");
                    drop(answers.insert(index, Err(error)));
                }
                Err(error) => drop(answers.insert(index, Err(error))),
            }
        }
        self.conclude(visit, node, step, &names, answers, false)
    }

    /// One attempt, owned.
    pub(super) fn attempt(
        &self,
        visit: u64,
        node: &Node,
        step: &StepNode,
        kind: Arc<dyn Step>,
        item: &Item,
    ) -> Attempt {
        Attempt {
            step: kind,
            cx: self.cx(visit, &node.id, item.index),
            params: item.params.value.clone(),
            timeout: step.timeout,
            retry: step.retry.clone(),
            visit,
            node: node.id.clone(),
            listener: Arc::clone(&self.world.listener),
        }
    }
}
