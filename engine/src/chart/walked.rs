//! Which way a run went.

use std::collections::HashMap;

use super::model::surrounding;
use super::{ArrowKind, Chart};
use crate::plan::{Body, OnFailure, Plan};
use crate::run::{Phase, Position, RunState, Visit};

impl Chart {
    /// Marks the boxes and arrows of this plan along which a run went, and where it stands.
    #[must_use]
    pub fn walked(mut self, plan: &Plan, state: &RunState) -> Self {
        self.of_a_run = true;
        let mut marks = Marks::default();
        // What is taken back afterwards is no way through the plan.
        for visit in state.trail.iter().filter(|visit| visit.undoing.is_none()) {
            marks.visit(plan, visit);
        }
        for one in &mut self.boxes {
            one.visits = marks.boxes.get(&one.id).copied().unwrap_or(0);
        }
        for arrow in &mut self.arrows {
            let key = (arrow.from.clone(), arrow.to.clone(), arrow.kind);
            arrow.walked = marks.arrows.get(&key).copied().unwrap_or(0);
        }
        let here = match &state.position {
            Position::Before(node) => Some(node.as_str()),
            Position::In | Position::Held => state.trail.last().map(|visit| visit.node.as_str()),
            Position::Unwinding | Position::Stuck | Position::RolledBack | Position::Ended { .. } => None,
        };
        if let Some(one) = self.boxes.iter_mut().find(|one| Some(one.id.as_str()) == here) {
            one.here = true;
        }
        self
    }

    /// Only the boxes to which a run came, and the arrows along which it went: a picture that fits a page.
    #[must_use]
    pub fn only_walked(mut self) -> Self {
        self.boxes.retain(|one| one.visits > 0 || one.here);
        self.arrows.retain(|arrow| arrow.walked > 0);
        self
    }
}

#[derive(Default)]
struct Marks {
    boxes: HashMap<String, u32>,
    arrows: HashMap<(String, String, ArrowKind), u32>,
}

impl Marks {
    fn visit(&mut self, plan: &Plan, visit: &Visit) {
        *self.boxes.entry(visit.node.clone()).or_insert(0) += 1;
        let Some(node) = plan.node(&visit.node) else { return };
        match (&node.body, &visit.phase) {
            (Body::Step(step), Phase::Finished(outcome)) => {
                self.to(plan, &node.id, step.next.target(outcome), ArrowKind::Outcome);
            }
            (Body::Step(step), Phase::Declined) => {
                self.to(plan, &node.id, step.declined.as_deref(), ArrowKind::Declined);
            }
            (Body::Step(step), Phase::Failed(_)) => {
                if let OnFailure::Goto(to) = &step.on_failure {
                    self.to(plan, &node.id, Some(to), ArrowKind::Broke);
                }
            }
            (Body::Enter(enter), _) => self.to(plan, &node.id, Some(&enter.start), ArrowKind::Enters),
            (Body::Step(_) | Body::End { .. }, _) => {}
        }
    }

    /// Goes along one arrow. An end is no visit of its own, and the end of an inlined runbook leads on.
    fn to(&mut self, plan: &Plan, from: &str, to: Option<&str>, kind: ArrowKind) {
        let Some(to) = to else { return };
        *self.arrows.entry((from.to_owned(), to.to_owned(), kind)).or_insert(0) += 1;
        if let Some(node) = plan.node(to)
            && let Body::End { end, .. } = &node.body
        {
            *self.boxes.entry(to.to_owned()).or_insert(0) += 1;
            let next = surrounding(plan, node).and_then(|enter| enter.next.target(end.word()));
            self.to(plan, to, next, ArrowKind::Outcome);
        }
    }
}
