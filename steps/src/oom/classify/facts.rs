//! The numbers of an error as `oom.read` yields it, completed and checked against each other.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::oom::identities::{Numbers, contradiction};
use crate::oom::kind::Kind;
use crate::oom::message::Process;

/// The error to classify: the output of `oom.read`. Sizes in bytes; a missing key is the same as null. Other keys are
/// accepted and not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct ErrorFields {
    /// Whose memory ran out.
    #[serde(default)]
    pub(super) kind: Option<Kind>,
    /// Bytes that were refused.
    #[serde(default)]
    pub(super) tried: Option<u64>,
    /// Bytes on the device.
    #[serde(default)]
    pub(super) capacity: Option<u64>,
    /// Bytes free on the device.
    #[serde(default)]
    pub(super) free: Option<u64>,
    /// Bytes allocated by PyTorch, idle private pools included.
    #[serde(default)]
    pub(super) allocated: Option<u64>,
    /// Bytes reserved by PyTorch in total.
    #[serde(default)]
    pub(super) reserved: Option<u64>,
    /// Bytes reserved and not allocated.
    #[serde(default)]
    pub(super) reserved_unallocated: Option<u64>,
    /// Bytes idle in private pools.
    #[serde(default)]
    pub(super) private_pools: Option<u64>,
    /// Bytes that this process uses.
    #[serde(default)]
    pub(super) this_process: Option<u64>,
    /// The processes that the message names.
    #[serde(default)]
    pub(super) processes: Option<Vec<Process>>,
    /// Bytes that a memory fraction allows.
    #[serde(default)]
    pub(super) limit: Option<u64>,
    /// Whether expandable segments are on.
    #[serde(default)]
    pub(super) hint_expandable: Option<bool>,
    /// The allocator's table.
    #[serde(default)]
    pub(super) memory_summary: Option<Table>,
}

/// A table of `memory_summary()`. Other keys are accepted and not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct Table {
    /// How often everything was flushed for a request.
    #[serde(default)]
    pub(super) retries: Option<u64>,
    /// The most that was reserved at once, bytes.
    #[serde(default)]
    pub(super) peak_reserved: Option<u64>,
    /// The most that was allocated at once, bytes.
    #[serde(default)]
    pub(super) peak_allocated: Option<u64>,
    /// Whether memory is reserved in expandable segments only.
    #[serde(default)]
    pub(super) expandable: Option<bool>,
}

/// The numbers, completed by the identity reserved = allocated + unallocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) tried: Option<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) free: Option<u64>,
    pub(super) allocated: Option<u64>,
    pub(super) reserved: Option<u64>,
    pub(super) unallocated: Option<u64>,
    /// 0 where the message has no such clause.
    pub(super) pools: u64,
    pub(super) limit: Option<u64>,
}

impl Facts {
    /// Completes the numbers.
    ///
    /// # Errors
    /// They contradict each other; a line that says how.
    pub(super) fn of(error: &ErrorFields) -> Result<Self, String> {
        let (mut allocated, mut reserved, mut gap) =
            (error.allocated, error.reserved, error.reserved_unallocated);
        match (allocated, reserved, gap) {
            (Some(a), None, Some(u)) => reserved = a.checked_add(u),
            (Some(a), Some(r), None) => gap = r.checked_sub(a),
            (None, Some(r), Some(u)) => allocated = r.checked_sub(u),
            _ => {}
        }
        let numbers = Numbers {
            kind: error.kind,
            tried: error.tried,
            capacity: error.capacity,
            free: error.free,
            allocated,
            reserved,
            unallocated: gap,
            pools: error.private_pools,
            this_process: error.this_process.filter(|bytes| *bytes > 0),
            processes: error.processes.as_deref().unwrap_or_default(),
            limit: error.limit,
        };
        if let Some(contradiction) = contradiction(&numbers.identities()) {
            return Err(contradiction);
        }
        Ok(Self {
            tried: error.tried,
            capacity: error.capacity,
            free: error.free,
            allocated,
            reserved,
            unallocated: gap,
            pools: error.private_pools.unwrap_or(0),
            limit: error.limit,
        })
    }

    /// Bytes that the cap leaves, where it leaves less than the device has free.
    pub(super) fn capped(&self) -> Option<u64> {
        let left = self.limit?.saturating_sub(self.reserved?);
        (left < self.free?).then_some(left)
    }

    /// The bytes there are to share: the device's, or fewer by the cap.
    pub(super) fn budget(&self) -> Option<u64> {
        let capacity = self.capacity?;
        Some(self.limit.map_or(capacity, |limit| limit.min(capacity)))
    }
}
