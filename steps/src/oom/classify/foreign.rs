//! How much of the device others hold: an interval, because a message rarely says it outright.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::facts::{ErrorFields, Facts};
use crate::oom::identities::{OWN_LESS, ROUNDING};
use crate::size::{GIB, MIB};

/// Who holds memory on the node's devices: the output of `gpu.tenants`. Other keys are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct Tenants {
    /// Processes that are not the job's.
    #[serde(default)]
    pub(super) foreign: Option<Vec<Tenant>>,
    /// `clean`: all processes were seen and all are the job's.
    #[serde(default)]
    pub(super) verdict: Option<String>,
}

/// One process that is not the job's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct Tenant {
    /// Process id.
    #[serde(default)]
    pub(super) pid: Option<u32>,
    /// Bytes that it holds.
    #[serde(default)]
    pub(super) bytes: Option<u64>,
    /// The device that it is on.
    #[serde(default)]
    pub(super) gpu_uuid: Option<String>,
}

impl Tenants {
    fn are_none(&self) -> bool {
        self.verdict.as_deref() == Some("clean") && self.foreign.as_ref().is_some_and(Vec::is_empty)
    }

    /// What the tenants of one device hold, if that is what lies outside this process's reserve.
    ///
    /// Which of the node's devices the message is about is not known (its ordinal counts within one process), so a
    /// device's tenants count only if their size explains what the message leaves open.
    fn explain(&self, outside: u64) -> Option<u64> {
        let mut devices: BTreeMap<Option<&str>, u64> = BTreeMap::new();
        for tenant in self.foreign.iter().flatten() {
            let sum = devices.entry(tenant.gpu_uuid.as_deref()).or_default();
            *sum = sum.saturating_add(tenant.bytes.unwrap_or(0));
        }
        let explains = |sum: &u64| {
            *sum > 0
                && *sum <= outside.saturating_add(DRIVER_SHARE)
                && outside.saturating_sub(*sum) <= OWN_EXTRA
        };
        devices.into_values().filter(explains).max()
    }
}

/// A process holds at most this beside what PyTorch reserved: context, kernels, NCCL, cuBLAS. Also how one finds the
/// failing process where NVML names it by the host's id: reserved − 0.1 GiB to reserved + 3 GiB.
pub(super) const OWN_EXTRA: u64 = 3 * GIB;
/// The driver keeps about this much that belongs to no process.
const DRIVER_SHARE: u64 = 512 * MIB;

/// What others hold, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    /// At least this: somebody was seen.
    pub(super) least: u64,
    /// At most this.
    pub(super) most: u64,
    /// Bytes outside PyTorch's reserve: others, and this process's own context and libraries.
    pub(super) outside: u64,
    /// Bytes of this process, if they are known or could be told by their size.
    pub(super) own: Option<u64>,
}

impl Foreign {
    /// The interval, or `None` where not even the reserve is known.
    ///
    /// What is known only narrows it: taking a field away never excludes what was possible before.
    pub(super) fn of(error: &ErrorFields, facts: &Facts, tenants: Option<&Tenants>) -> Option<Self> {
        let reserved = facts.reserved?;
        let used = facts.capacity?.saturating_sub(facts.free?);
        let outside = used.saturating_sub(reserved);
        let mut named: Vec<u64> =
            error.processes.iter().flatten().filter_map(|process| process.bytes).collect();
        let mut own = error.this_process.filter(|bytes| *bytes > 0);
        if own.is_none() && !named.is_empty() {
            let range = reserved.saturating_sub(OWN_LESS)..=reserved.saturating_add(OWN_EXTRA);
            // At most one of those that have its size is this process: the largest is not held against anybody. That it is
            // this process is sure only if the device has no room for both.
            let like = (0..named.len()).filter(|at| range.contains(&named[*at]));
            if let Some(at) = like.max_by_key(|at| named[*at]) {
                let bytes = named.swap_remove(at);
                let alone = !named.iter().any(|other| range.contains(other));
                own = (alone && bytes.saturating_add(reserved) > used.saturating_add(ROUNDING))
                    .then_some(bytes);
            }
        }
        let named = named.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
        let (mut least, mut most) = match own {
            // The reserve is this process's for sure, whatever NVML says.
            Some(own) => {
                let others = used.saturating_sub(own.max(reserved));
                (named.max(others.saturating_sub(DRIVER_SHARE)).min(others), others)
            }
            None => (named.min(outside), outside),
        };
        if let Some(tenants) = tenants {
            if tenants.are_none() && own.is_none() && named == 0 {
                most = outside.saturating_sub(OWN_EXTRA);
            } else if let Some(seen) = tenants.explain(outside) {
                least = least.max(seen).min(most);
            }
        }
        Some(Self { least, most, outside, own })
    }
}
