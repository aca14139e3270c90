//! One visit of a node that binds to a step.

use std::sync::Arc;

use crate::event::Event;
use crate::journal::Journal;
use crate::plan::{Approve, Node, StepNode};
use crate::redact::{GONE, lost};
use crate::run::{GateItem, Rule};
use crate::site::digest;
use crate::step::{Price, StepError, StepErrorKind};

use super::evaluate::{Item, items};
use super::gate::Consent;
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
        // Whoever heard that may have said stop.
        if self.world.cancel.is_cancelled() {
            return Ok(Flow::On);
        }
        if items.iter().any(|item| kind.effect(&item.params.value).changes()) {
            if items.iter().any(|item| lost(&item.params.value)) {
                return self.fail(visit, id, StepError::new(StepErrorKind::Params, GONE));
            }
            return self.change(visit, node, step, &*kind, items).await;
        }
        if let Approve::Required { rule, .. } = &step.approve
            && let Consent::Not(flow) = self.gate_before_read(visit, node, step, rule, &items).await?
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
        rule: &Rule,
        items: &[Item],
    ) -> Result<Consent, WalkError> {
        let shown: Vec<GateItem> = items
            .iter()
            .map(|item| GateItem {
                target: format!("{} (only reads)", step.kind),
                commands: Vec::new(),
                diffs: Vec::new(),
                notes: Vec::new(),
                undo: None,
                price: Price::nothing(),
                digest: digest(item.params.value.to_string().as_bytes()),
            })
            .collect();
        let names = items.first().map(|item| item.names.clone()).unwrap_or_default();
        let gate = self.gate(node, step, &names, rule.clone(), shown, false);
        self.consent(visit, node, gate).await
    }
}
