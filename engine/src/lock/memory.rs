//! Locks of one process: for rehearsals, which touch nothing that others share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Claim, Held, Lease, LockError, Locks, Taken};
use crate::run::RunId;

/// What was handed out for a target.
#[derive(Debug, Default)]
struct Slot {
    /// The highest number so far.
    fence: u64,
    /// Whoever has that number.
    last: Option<Claim>,
    /// It was let go of.
    free: bool,
}

impl Slot {
    fn holder(&self) -> Option<&Claim> {
        self.last.as_ref().filter(|_| !self.free)
    }
}

type Slots = Arc<Mutex<BTreeMap<String, Slot>>>;

/// Locks that only this process sees.
#[derive(Debug, Clone, Default)]
pub struct MemoryLocks {
    slots: Slots,
}

struct MemoryLease {
    slots: Slots,
    target: String,
    fence: u64,
}

impl MemoryLocks {
    fn hand_out(&self, claim: &Claim, may: impl Fn(&Claim) -> bool) -> Result<Taken, LockError> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(claim.target.clone()).or_default();
        if let Some(holder) = slot.holder().filter(|holder| !may(holder)) {
            return Err(LockError::Taken(Box::new(Held { claim: holder.clone(), fence: slot.fence })));
        }
        let lost = slot.holder().is_some();
        slot.fence += 1;
        let before = slot.last.replace(claim.clone());
        slot.free = false;
        let lease =
            MemoryLease { slots: Arc::clone(&self.slots), target: claim.target.clone(), fence: slot.fence };
        Ok(Taken { lease: Box::new(lease), before, lost })
    }
}

impl Locks for MemoryLocks {
    fn take(&self, claim: &Claim) -> Result<Taken, LockError> {
        self.hand_out(claim, |_| false)
    }

    fn take_over(&self, claim: &Claim, from: &RunId) -> Result<Taken, LockError> {
        self.hand_out(claim, |holder| holder.run == *from)
    }

    fn held(&self) -> Result<Vec<Held>, LockError> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |slot: &Slot| Some(Held { claim: slot.holder()?.clone(), fence: slot.fence });
        Ok(slots.values().filter_map(held).collect())
    }
}

impl Lease for MemoryLease {
    fn fence(&self) -> u64 {
        self.fence
    }

    fn check(&self) -> Result<(), LockError> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get(&self.target) {
            Some(Slot { fence, last: Some(claim), .. }) if *fence != self.fence => {
                Err(LockError::Fenced(Box::new(Held { claim: claim.clone(), fence: *fence })))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(&self.target).filter(|slot| slot.fence == self.fence) {
            slot.free = true;
        }
    }
}
