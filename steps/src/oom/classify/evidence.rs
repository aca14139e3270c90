//! What a memory snapshot adds to the message.

use schemars::JsonSchema;
use serde::Deserialize;

use super::facts::Facts;
use crate::oom::identities::ROUNDING;
use crate::oom::snapshot::Cure;

/// A memory snapshot: the output of `oom.snapshot`. Other keys are accepted and not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct Snapshot {
    /// What a replay with expandable segments says of the request that failed.
    #[serde(default)]
    pub(super) cure: Option<Cure>,
    /// Bytes that this request asked of the driver.
    #[serde(default)]
    pub(super) tried: Option<u64>,
    /// Bytes that the device had free then.
    #[serde(default)]
    pub(super) free: Option<u64>,
    /// Whether expandable segments were on.
    #[serde(default)]
    pub(super) expandable: Option<bool>,
}

impl Snapshot {
    /// Whether it shows the failure that the message is about.
    pub(super) fn shows(&self, facts: &Facts) -> bool {
        let same = |here: Option<u64>, there: Option<u64>| {
            here.zip(there).is_some_and(|(here, there)| here.abs_diff(there) <= ROUNDING)
        };
        same(self.tried, facts.tried) && same(self.free, facts.free)
    }
}
