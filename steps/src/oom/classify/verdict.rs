//! The answer and its reasons.

use schemars::JsonSchema;
use serde::Serialize;

/// What kind of out-of-memory error it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The working set does not fit, or leaves less than the margin, however it is packed.
    TrueOom,
    /// It would fit if the reserved memory were in one piece.
    Fragmentation,
    /// It would fit without what others hold.
    CoTenant,
    /// The numbers do not tell.
    Unknown,
}

impl Verdict {
    /// The outcome's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TrueOom => "true_oom",
            Self::Fragmentation => "fragmentation",
            Self::CoTenant => "co_tenant",
            Self::Unknown => "unknown",
        }
    }
}

/// What `oom.classify` yields. Sizes in bytes; null: not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Classification {
    /// The verdict; the same word as the outcome.
    pub(crate) verdict: Verdict,
    /// Bytes that must be left over before a request counts as fitting.
    pub(crate) margin_bytes: Option<u64>,
    /// Bytes that a pool packed without a gap could give: free (or what the cap leaves) + unallocated. What blocks in use are
    /// rounded up by comes on top; no message tells it.
    pub(crate) could_fit: Option<u64>,
    /// Bytes by which that is less than the request; 0: it would fit.
    pub(crate) shortfall: Option<u64>,
    /// Bytes reserved and not allocated.
    pub(crate) gap: Option<u64>,
    /// Bytes that others were seen to hold.
    pub(crate) foreign_bytes: Option<u64>,
    /// Why, with the numbers, so that a person can check.
    pub(crate) reasons: Vec<String>,
}
