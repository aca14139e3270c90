//! The locks of a walk: taken before a change is previewed, looked at before each effect, kept until the walk rests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use tokio::time::{Instant, sleep};

use crate::journal::Journal;
use crate::lock::{Claim, DYING, Held, Lease, LockError, Locks, Taken};
use crate::plan::{Approve, Node};
use crate::policy::{Intended, ruling};
use crate::run::{Answer, AskedOf, Bound, Entry, Gate, GateItem, Rule, RunId};
use crate::site::digest;
use crate::step::{Effect, Price, StepError, StepErrorKind};

use super::ending::Ending;
use super::walker::{Flow, WalkError, Walker, World};

/// What a policy calls it.
const TAKE_OVER: &str = "take-over";

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
    /// Takes the lock of a target for a run of this runbook. If the run `from` has it, a person is asked whether to take it
    /// over; the policy of the site looks at that as at an irreversible change by a step `take-over`.
    ///
    /// # Errors
    /// [`LockError::Taken`] if somebody else has it, or nobody agreed; [`LockError::Broken`] if the policy is in the way.
    pub async fn take(
        world: &World,
        claim: &Claim,
        from: Option<&RunId>,
        at: &AskedOf,
        runbook: &str,
    ) -> Result<Self, LockError> {
        let held = match take_up(&*world.locks, claim).await {
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
        let refused = |why: String| {
            let why = format!("the policy of this site: {why}");
            LockError::Broken { action: "take over", target: claim.target.clone(), why }
        };
        let rule = rule(world, claim, &at.node, runbook).map_err(refused)?;
        let gate = gate(&held, rule, world.site.now());
        let by = match world.operator.consent(at, &gate).await {
            Answer::Given(decided) if decided.value => decided.by,
            Answer::Given(_) | Answer::Nobody => return Err(LockError::Taken(held)),
        };
        let mut members = BTreeMap::new();
        for group in &gate.rule.groups {
            members.insert(group.as_str(), world.operator.is_member(&by, group).await);
        }
        let walks = by == claim.account || at.operators.contains(&by);
        let member = |group: &str| members.get(group).copied().flatten();
        gate.rule.refusal(&by, walks, member).map_or(Ok(()), |why| Err(refused(why)))?;
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

/// Takes a lock; that of a process that is dying is waited for, for a moment.
async fn take_up(locks: &dyn Locks, claim: &Claim) -> Result<Taken, LockError> {
    let begin = Instant::now();
    loop {
        match locks.take(claim) {
            Err(LockError::Taken(held)) if is_dying(&held.claim, claim) && begin.elapsed() < DYING => {
                sleep(Duration::from_millis(10)).await;
            }
            taken => return taken,
        }
    }
}

/// Whether the process that has a lock is dying: it is gone from this host, or walked the run whose journal is ours now.
fn is_dying(holder: &Claim, claim: &Claim) -> bool {
    let gone = || {
        let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
    };
    holder.run == claim.run || (holder.host == claim.host && gone())
}

/// Who has to agree before a lock is taken over.
///
/// # Errors
/// Why nobody can: it is forbidden, or takes more people than the one who is asked at the terminal.
fn rule(world: &World, claim: &Claim, node: &str, runbook: &str) -> Result<Rule, String> {
    let change = Intended {
        run: &claim.run,
        runbook,
        node,
        kind: TAKE_OVER,
        effect: Effect::Irreversible,
        targets: std::slice::from_ref(&claim.target),
    };
    let rule = ruling(&*world.policy, &Approve::Default, &change)?.unwrap_or_default();
    match rule.by {
        0..=1 => Ok(rule),
        by => Err(format!(
            "it takes {by} people, and only one is asked before a lock is taken over: end the run that has it"
        )),
    }
}

/// What a person is asked before a lock is taken over.
fn gate(held: &Held, rule: Rule, opened: jiff::Timestamp) -> Gate {
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
    let bound = Bound::default();
    Gate {
        prompt: format!("Take {} over from run {}", claim.target, claim.run),
        kind: TAKE_OVER.to_owned(),
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
            let runbook = &self.state.started.plan.runbook;
            match Hold::take(&self.world, &claim, self.over.as_ref(), &at, runbook).await {
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
