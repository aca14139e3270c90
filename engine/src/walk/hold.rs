//! The locks of a walk: taken before a change is previewed, looked at before each effect, kept until the walk rests.

use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use crate::journal::Journal;
use crate::lock::{Claim, Lease, LockError};
use crate::step::{StepError, StepErrorKind};

use super::walker::{Ending, Flow, WalkError, Walker};

impl<J: Journal> Walker<J> {
    /// Takes the locks of these targets. If somebody else has one, the walk rests.
    pub(super) fn hold(&mut self, node: &str, targets: &[String]) -> Result<Option<Flow>, WalkError> {
        for target in targets {
            let Slot::Vacant(slot) = self.leases.entry(target.clone()) else { continue };
            let claim = Claim {
                target: target.clone(),
                run: self.state.started.run.clone(),
                account: self.operator.clone(),
                host: self.host.clone(),
                pid: std::process::id(),
                since: self.world.site.now(),
            };
            match self.world.locks.take(&claim) {
                Ok(taken) => drop(slot.insert(Arc::from(taken.lease))),
                Err(LockError::Taken(held)) => {
                    let why = LockError::Taken(held.clone()).to_string();
                    let ending =
                        Ending::Locked { node: node.to_owned(), why, holder: held.claim.run.clone() };
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
