//! Opens a gate and waits until enough people agreed, one said no, or it closes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::journal::Journal;
use crate::plan::{Approve, Node, StepNode};
use crate::run::{Answer, AskedOf, Bound, Decided, Entry, Gate, GateItem, Mode, Phase, Rule};
use crate::site::digest;
use crate::template::{Names, text};

use super::ending::Ending;
use super::walker::{Flow, WalkError, Walker};

/// What came of waiting at a gate.
enum Waited {
    Answered(Decided<bool>),
    Nobody,
    Cancelled,
    Closed,
}

/// What came of asking for consent.
pub(super) enum Consent {
    /// To exactly what was shown.
    Given {
        /// Flags gave it: nobody kept the walk waiting.
        at_once: bool,
    },
    /// It was not given.
    Not(Flow),
}

impl<J: Journal> Walker<J> {
    /// The gate that would be shown before these changes.
    pub(super) fn gate(
        &self,
        node: &Node,
        step: &StepNode,
        names: &Names,
        rule: Rule,
        shown: Vec<GateItem>,
        changes: bool,
    ) -> Gate {
        let prompt = match &step.approve {
            Approve::Required { prompt: Some(prompt), .. } => {
                text(prompt, names).unwrap_or_else(|_| prompt.clone())
            }
            _ => node.title.clone(),
        };
        let started = &self.state.started;
        let bound = Bound {
            runbook: started.plan.source_digest.clone(),
            inputs: digest(json!(started.inputs).to_string().as_bytes()),
            evidence: names.digest(),
            policy: self.world.policy.digest(),
        };
        Gate {
            prompt,
            kind: step.kind.clone(),
            changes,
            digest: Gate::digest_of(&shown, &bound, &rule),
            items: shown,
            bound,
            rule,
            opened: self.world.site.now(),
            again: false,
            changed: Vec::new(),
        }
    }

    /// Whether enough people agreed to exactly this, and the gate has not closed since.
    pub(super) fn agreed(&self, visit: u64, gate: &Gate) -> bool {
        matches!(self.phase(visit), Some(Phase::Approved(agreed))
            if agreed.digest == gate.digest && !self.closed(agreed))
    }

    /// Asks until enough people agreed to exactly this.
    pub(super) async fn consent(
        &mut self,
        visit: u64,
        node: &Node,
        mut gate: Gate,
    ) -> Result<Consent, WalkError> {
        let mut at_once = true;
        if self.agreed(visit, &gate) {
            return Ok(Consent::Given { at_once });
        }
        let before = match self.phase(visit) {
            Some(Phase::Approved(before)) => Some((before, false)),
            Some(Phase::Gate { gate, .. }) => Some((gate, true)),
            _ => None,
        };
        match before {
            // It is open already, and who answered meanwhile answered exactly this.
            Some((before, true)) if before.digest == gate.digest && !self.closed(before) => {
                gate = Gate::clone(before);
            }
            before => {
                if let Some((before, _)) = before.filter(|(before, _)| before.digest != gate.digest) {
                    (gate.again, gate.changed) = (true, gate.differences(before));
                }
                self.append(Entry::GateOpened {
                    visit,
                    node: node.id.clone(),
                    gate: Box::new(gate.clone()),
                })?;
            }
        }
        while let Some(Phase::Gate { answered, agreed, .. }) = self.phase(visit) {
            let (answered, agreed) = (answered.clone(), agreed.clone());
            let at = AskedOf { answered, agreed, ..self.asked_of(visit, node) };
            let waited = if self.closed(&gate) { Waited::Closed } else { self.wait(&at, &gate).await };
            let decided = match waited {
                Waited::Answered(decided) if at.hears(&decided.by, decided.value) => decided,
                // Whoever answered already is not asked again, and nobody else is there.
                Waited::Answered(_) | Waited::Nobody => return self.park(&node.id).map(Consent::Not),
                Waited::Cancelled => return Ok(Consent::Not(Flow::On)),
                Waited::Closed => {
                    let ending = Ending::Parked { node: node.id.clone() };
                    return self
                        .rest("parked: the gate closed before enough people agreed", ending)
                        .map(|ending| Consent::Not(Flow::Rest(ending)));
                }
            };
            at_once &= decided.at_once;
            let refused = self.refusal(&gate, &decided).await;
            self.append(Entry::GateAnswered {
                visit,
                approved: decided.value,
                by: decided.by,
                via: decided.via,
                reason: decided.reason,
                digest: gate.digest.clone(),
                refused,
            })?;
        }
        if matches!(self.phase(visit), Some(Phase::Approved(_))) {
            return Ok(Consent::Given { at_once });
        }
        self.append(Entry::Declined { visit, node: node.id.clone() })?;
        Ok(Consent::Not(Flow::On))
    }

    async fn wait(&self, at: &AskedOf, gate: &Gate) -> Waited {
        let operator = Arc::clone(&self.world.operator);
        let closing = async {
            let Some(closes) = gate.closes() else { return std::future::pending().await };
            let left = closes.duration_since(self.world.site.now());
            // Real time: a recording's clock jumps.
            tokio::time::sleep(left.try_into().unwrap_or_default()).await;
        };
        tokio::select! {
            biased;
            () = self.world.cancel.cancelled() => Waited::Cancelled,
            () = closing => Waited::Closed,
            answer = operator.consent(at, gate) => match answer {
                Answer::Given(decided) => Waited::Answered(decided),
                Answer::Nobody => Waited::Nobody,
            },
        }
    }

    /// Why an answer does not count, if it does not. Fails closed: a membership that cannot be looked up is none.
    async fn refusal(&self, gate: &Gate, decided: &Decided<bool>) -> Option<String> {
        if matches!(self.state.started.mode, Mode::Rehearsal { .. }) {
            return None;
        }
        let walks = self.state.operators.contains(&decided.by);
        // Whoever walks a run may always stop it.
        if walks && !decided.value {
            return None;
        }
        let mut members = BTreeMap::new();
        for group in &gate.rule.groups {
            let member = self.world.operator.is_member(&decided.by, group).await;
            members.insert(group.as_str(), member);
        }
        gate.rule.refusal(&decided.by, walks, |group| members.get(group).copied().flatten())
    }

    fn phase(&self, visit: u64) -> Option<&Phase> {
        self.state.current().filter(|(number, _)| *number == visit).map(|(_, current)| &current.phase)
    }

    fn closed(&self, gate: &Gate) -> bool {
        gate.closes().is_some_and(|closes| self.world.site.now() >= closes)
    }
}
