//! The locks of a walk: taken before a change is previewed, looked at before each effect, kept until the walk rests.

use std::sync::Arc;

use crate::journal::Journal;
use crate::lock::{Claim, Held, Lease, LockError};
use crate::plan::Node;
use crate::run::{Answer, AskedOf, Bound, Entry, Gate, GateItem, Rule, RunId};
use crate::site::digest;
use crate::step::{Price, StepError, StepErrorKind};

use super::ending::Ending;
use super::walker::{Flow, WalkError, Walker, World};

/// A lock that was taken for a walk.
pub struct Hold {
    target: String,
    lease: Arc<dyn Lease>,
    before: Option<Claim>,
    from: Option<Former>,
}

/// Who did not let go of it.
struct Former {
    claim: Claim,
    /// Who agreed to take it over; `None` if its process was gone.
    by: Option<String>,
}

impl Hold {
    /// Takes the lock of a target. If the run `from` has it, a person is asked whether to take it over.
    ///
    /// # Errors
    /// [`LockError::Taken`] if somebody else has it, or nobody agreed.
    pub async fn take(
        world: &World,
        claim: &Claim,
        from: Option<&RunId>,
        at: &AskedOf,
    ) -> Result<Self, LockError> {
        let held = match world.locks.take(claim) {
            Ok(taken) => {
                let gone = taken.before.clone().filter(|before| taken.lost && before.run != claim.run);
                return Ok(Self {
                    target: claim.target.clone(),
                    lease: taken.lease.into(),
                    before: taken.before,
                    from: gone.map(|claim| Former { claim, by: None }),
                });
            }
            Err(LockError::Taken(held)) if from == Some(&held.claim.run) => held,
            Err(error) => return Err(error),
        };
        let gate = gate(&held, world.site.now());
        let by = match world.operator.consent(at, &gate).await {
            Answer::Given(decided) if decided.value => decided.by,
            Answer::Given(_) | Answer::Nobody => return Err(LockError::Taken(held)),
        };
        let taken = world.locks.take_over(claim, &held.claim.run)?;
        Ok(Self {
            target: claim.target.clone(),
            lease: taken.lease.into(),
            before: taken.before,
            from: Some(Former { claim: held.claim, by: Some(by) }),
        })
    }

    /// Who had it before, as far as is kept.
    pub fn before(&self) -> Option<&Claim> {
        self.before.as_ref()
    }
}

/// What a person is asked before a lock is taken over.
fn gate(held: &Held, opened: jiff::Timestamp) -> Gate {
    let Held { claim, fence } = held;
    let items = vec![GateItem {
        target: claim.target.clone(),
        commands: Vec::new(),
        diffs: Vec::new(),
        notes: vec![
            format!("run {} has it: {}", claim.run, claim.holder()),
            "whatever it is about to change is refused from now on; what it has begun is not stopped"
                .to_owned(),
        ],
        undo: None,
        price: Price::nothing(),
        digest: digest(format!("take over {} {fence}", claim.target).as_bytes()),
    }];
    let (bound, rule) = (Bound::default(), Rule::default());
    Gate {
        prompt: format!("Take {} over from run {}", claim.target, claim.run),
        kind: "take-over".to_owned(),
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

impl<J: Journal> Walker<J> {
    /// Names a run from which locks may be taken over, if a person agrees.
    pub fn take_over_from(&mut self, run: Option<RunId>) {
        self.over = run;
    }

    /// Keeps a lock for this walk.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn keep(&mut self, hold: Hold) -> Result<(), WalkError> {
        let Hold { target, lease, from, .. } = hold;
        let fence = lease.fence();
        self.leases.insert(target.clone(), lease);
        match from {
            Some(Former { claim, by }) => {
                self.append(Entry::TookOver { target, fence, from: Box::new(claim), by })
            }
            None => Ok(()),
        }
    }

    /// Takes the locks of these targets. If somebody else has one, the walk rests.
    pub(super) async fn hold(
        &mut self,
        visit: u64,
        node: &Node,
        targets: &[String],
    ) -> Result<Option<Flow>, WalkError> {
        // Others read who holds what.
        let targets = targets.iter().map(|target| self.world.redactor.text(target).into_owned());
        for target in targets.collect::<Vec<_>>().into_iter().filter(|target| !target.is_empty()) {
            if self.leases.contains_key(&target) {
                continue;
            }
            let claim = Claim {
                target,
                run: self.state.started.run.clone(),
                account: self.operator.clone(),
                host: self.host.clone(),
                pid: std::process::id(),
                since: self.world.site.now(),
            };
            let at = self.asked_of(visit, node);
            match Hold::take(&self.world, &claim, self.over.as_ref(), &at).await {
                Ok(hold) => self.keep(hold)?,
                Err(LockError::Taken(held)) => {
                    let holder = held.claim.run.clone();
                    let why = LockError::Taken(held).to_string();
                    let ending = Ending::Locked { node: node.id.clone(), why, holder };
                    return self.rest("another run acts on the target", ending).map(|e| Some(Flow::Rest(e)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Why a lock of this walk is no longer held, if one is not.
    pub(super) fn lost(&self) -> Option<StepError> {
        lost(self.leases.values())
    }
}

/// Why one of these is no longer held, if one is not. What cannot be told counts as lost.
pub(super) fn lost<'a>(leases: impl Iterator<Item = &'a Arc<dyn Lease>>) -> Option<StepError> {
    let error = leases.map(|lease| lease.check()).find_map(Result::err)?;
    let help = "nothing was done; look at what the other run did before this one goes on";
    Some(StepError::new(StepErrorKind::Drifted, error.to_string()).help(help))
}
