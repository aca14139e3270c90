//! One visit of a node that binds to a step.

use std::sync::Arc;

use crate::event::Event;
use crate::journal::Journal;
use crate::plan::{Approve, Node, StepNode};
use crate::run::{Answer, Entry, Gate, GateItem, Phase};
use crate::site::digest;
use crate::template::{Names, text};

use super::evaluate::{Item, items};
use super::walker::{Flow, WalkError, Walker, step_node};

impl<J: Journal> Walker<J> {
    /// Evaluates, previews, asks, acts.
    pub(super) async fn visit(&mut self, visit: u64, id: &str) -> Result<Flow, WalkError> {
        let plan = Arc::clone(&self.plan);
        let (node, step) = step_node(&plan, id)?;
        let kind =
            self.world.registry.get(&step.kind).ok_or_else(|| WalkError::NoStep(step.kind.clone()))?.clone();
        let items = match items(node, step, kind.spec(), &self.state) {
            Ok(items) => items,
            Err(error) => return self.fail(visit, id, error),
        };
        (self.world.listener)(&Event::Began {
            visit,
            node: node.id.clone(),
            title: node.title.clone(),
            flow: node.flow.clone(),
            kind: step.kind.clone(),
        });
        if items.iter().any(|item| kind.effect(&item.params.value).changes()) {
            return self.change(visit, node, step, &*kind, items).await;
        }
        if let Approve::Required { .. } = &step.approve
            && let Some(flow) = self.gate_before_read(visit, node, step, &items).await?
        {
            return Ok(flow);
        }
        self.read(visit, node, step, kind, items).await
    }

    /// A gate that the author put before something that only reads.
    async fn gate_before_read(
        &mut self,
        visit: u64,
        node: &Node,
        step: &StepNode,
        items: &[Item],
    ) -> Result<Option<Flow>, WalkError> {
        let shown: Vec<GateItem> = items
            .iter()
            .map(|item| GateItem {
                target: format!("{} (only reads)", step.kind),
                commands: Vec::new(),
                diffs: Vec::new(),
                notes: Vec::new(),
                undo: None,
                digest: digest(item.params.value.to_string().as_bytes()),
            })
            .collect();
        let names = items.first().map(|item| item.names.clone()).unwrap_or_default();
        self.consent(visit, node, step, &names, shown, false).await
    }

    /// Asks for consent unless it was given to exactly this. `None` is yes.
    pub(super) async fn consent(
        &mut self,
        visit: u64,
        node: &Node,
        step: &StepNode,
        names: &Names,
        shown: Vec<GateItem>,
        changes: bool,
    ) -> Result<Option<Flow>, WalkError> {
        let digest = Gate::digest_of(&shown);
        let phase =
            self.state.current().filter(|(number, _)| *number == visit).map(|(_, current)| &current.phase);
        let again = match phase {
            Some(Phase::Approved { digest: agreed, .. }) if *agreed == digest => return Ok(None),
            Some(Phase::Approved { .. }) => true,
            Some(Phase::Gate(gate)) => gate.digest != digest,
            _ => false,
        };
        let prompt = match &step.approve {
            Approve::Required { prompt: Some(prompt) } => {
                text(prompt, names).unwrap_or_else(|_| prompt.clone())
            }
            _ => node.title.clone(),
        };
        let gate =
            Gate { prompt, kind: step.kind.clone(), changes, items: shown, digest: digest.clone(), again };
        self.append(Entry::GateOpened { visit, node: node.id.clone(), gate: Box::new(gate.clone()) })?;
        let at = self.asked_of(visit, node);
        let cancel = self.world.cancel.clone();
        let operator = Arc::clone(&self.world.operator);
        let answer = tokio::select! {
            answer = operator.consent(&at, &gate) => answer,
            () = cancel.cancelled() => return Ok(Some(Flow::On)),
        };
        let Answer::Given(decided) = answer else { return self.park(&node.id).map(Some) };
        let approved = decided.value;
        let entry = Entry::GateAnswered { visit, approved, by: decided.by, reason: decided.reason, digest };
        self.append(entry)?;
        if approved {
            return Ok(None);
        }
        self.append(Entry::Declined { visit, node: node.id.clone() })?;
        Ok(Some(Flow::On))
    }
}
