//! What one message says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::oom::kind::Kind;

/// A process on the device, as the message names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Process {
    /// Process id; in a container it may be the host's id of the failing process itself.
    pub(crate) pid: u32,
    /// Bytes in use, unknown where NVML could not tell.
    #[serde(default)]
    pub(crate) bytes: Option<u64>,
}

/// How much a text proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It says that memory ran out.
    Says,
    /// It is usually a sign of it (a process got SIGKILL) and can be something else.
    Suggests,
}

/// What one message says; sizes in bytes, `None` where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OomMessage {
    pub(crate) kind: Kind,
    pub(crate) proof: Proof,
    /// Ordinal of the device as the process counts (after `CUDA_VISIBLE_DEVICES`).
    pub(crate) device: Option<u32>,
    /// The segment that was asked of the driver (the request itself in PyTorch 1.0–1.3).
    pub(crate) tried: Option<u64>,
    pub(crate) capacity: Option<u64>,
    pub(crate) free: Option<u64>,
    /// Allocated by PyTorch, idle blocks of private pools included.
    pub(crate) allocated: Option<u64>,
    /// Reserved by PyTorch in total.
    pub(crate) reserved: Option<u64>,
    /// Reserved and not allocated: the gap.
    pub(crate) reserved_unallocated: Option<u64>,
    /// Idle bytes in private pools (CUDA graphs); part of `allocated`.
    pub(crate) private_pools: Option<u64>,
    pub(crate) this_process: Option<u64>,
    pub(crate) processes: Vec<Process>,
    /// The cap that a memory fraction sets.
    pub(crate) limit: Option<u64>,
    /// The message says that expandable segments are on already (2.15).
    pub(crate) hint_expandable: Option<bool>,
}

impl OomMessage {
    /// A message of `kind` that says nothing else.
    pub(crate) fn bare(kind: Kind) -> Self {
        Self {
            kind,
            proof: Proof::Says,
            device: None,
            tried: None,
            capacity: None,
            free: None,
            allocated: None,
            reserved: None,
            reserved_unallocated: None,
            private_pools: None,
            this_process: None,
            processes: Vec::new(),
            limit: None,
            hint_expandable: None,
        }
    }

    /// The same message, weaker.
    pub(super) fn suggests(mut self) -> Self {
        self.proof = Proof::Suggests;
        self
    }

    /// Whether it prints the size that was refused.
    pub(crate) fn is_sized(&self) -> bool {
        self.tried.is_some()
    }
}
