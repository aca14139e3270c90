//! Takes changes back, newest first.

use crate::journal::Journal;
use crate::run::{Act, Answer, Bound, Entry, Gate, GateItem, Rule};
use crate::site::digest;
use crate::step::{StepError, Undone};

use super::walker::{Flow, WalkError, Walker, step_node};

impl<J: Journal> Walker<J> {
    /// Takes back one change, with consent.
    pub(super) async fn undo(&mut self, visit: u64, item: Option<usize>) -> Result<Flow, WalkError> {
        let at = usize::try_from(visit).unwrap_or(usize::MAX).saturating_sub(1);
        let Some(past) = self.state.trail.get(at) else { return Ok(Flow::On) };
        let Some(act) = past.intended.get(&item).map(|intended| intended.act.clone()) else {
            return Ok(Flow::On);
        };
        let plan = std::sync::Arc::clone(&self.plan);
        let (node, _) = step_node(&plan, &past.node)?;
        let result = match &act.reversible {
            None if act.undo.is_none() => Ok(Undone::Cannot(format!("{} cannot be taken back", act.kind))),
            how => {
                let how = how.clone().unwrap_or_else(|| "by the runbook's own undo step".to_owned());
                let gate = undo_gate(&act, how, self.world.site.now());
                let operator = std::sync::Arc::clone(&self.world.operator);
                match operator.consent(&self.asked_of(visit, node), &gate).await {
                    Answer::Given(decided) if decided.value => {
                        self.take_back(visit, item, &node.id, &act).await
                    }
                    Answer::Given(decided) => Ok(Undone::Cannot(format!("{} said no", decided.by))),
                    Answer::Nobody => return self.park(&node.id),
                }
            }
        };
        self.append(Entry::Undone { visit, item, result })?;
        Ok(Flow::On)
    }

    async fn take_back(
        &self,
        visit: u64,
        item: Option<usize>,
        node: &str,
        act: &Act,
    ) -> Result<Undone, StepError> {
        let cx = self.cx(visit, node, item);
        let find = |kind: &str| {
            let missing = || StepError::failed(format!("the step {kind} is not there"));
            self.world.registry.get(kind).cloned().ok_or_else(missing)
        };
        let Some((kind, params)) = &act.undo else {
            return find(&act.kind)?.undo(&cx, &act.params, &act.intent).await;
        };
        let step = find(kind)?;
        if !step.effect(params).changes() {
            step.perform(&cx, params, &serde_json::Value::Null).await?;
            return Ok(Undone::Restored(format!("{kind} ran")));
        }
        let preview = step.preview(&cx, params).await?;
        if let Some(done) = preview.nothing_to_do {
            return Ok(Undone::NothingToDo(done.outcome));
        }
        step.perform(&cx, params, &preview.intent).await?;
        Ok(Undone::Restored(format!("{kind} ran")))
    }
}

fn undo_gate(act: &Act, how: String, opened: jiff::Timestamp) -> Gate {
    let item = GateItem {
        target: format!("{} with {}", act.kind, act.params),
        commands: vec![how],
        diffs: Vec::new(),
        notes: Vec::new(),
        undo: None,
        digest: digest(format!("undo {} {}", act.kind, act.intent).as_bytes()),
    };
    let items = vec![item];
    let (bound, rule) = (Bound::default(), Rule::default());
    Gate {
        prompt: format!("Take back {}", act.kind),
        kind: act.kind.clone(),
        changes: true,
        digest: Gate::digest_of(&items, &bound, &rule),
        items,
        bound,
        rule,
        opened,
        again: false,
        changed: Vec::new(),
    }
}
