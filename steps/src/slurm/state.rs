//! Job states as one word.

use serde::{Deserialize, Serialize};

/// Words that are flags on a state; in text a flag hides the state below it (`job_state_string`,
/// SchedMD/slurm src/common/slurm_protocol_defs.c).
const FLAGS: &[&str] = &[
    "COMPLETING",
    "CONFIGURING",
    "EXPEDITING",
    "LAUNCH_FAILED",
    "POWER_UP_NODE",
    "RECONFIG_FAIL",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "RESIZING",
    "RESV_DEL_HOLD",
    "SIGNALING",
    "SPECIAL_EXIT",
    "STAGE_OUT",
    "STOPPED",
    "UPDATE_DB",
];

/// Words of a job that has ended.
const ENDED: &[&str] = &[
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
];

/// Words of a job that waits for its (next) start; while it is CONFIGURING its nodes are being booted.
const WAITING: &[&str] = &[
    "CONFIGURING",
    "PENDING",
    "POWER_UP_NODE",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
];

/// A job state as Slurm printed it: one word, `FAILED` or `COMPLETING`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct State(String);

impl State {
    /// Reads `FAILED`, `CANCELLED by 1000`, `CANCELLED+`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let word: String =
            text.trim_start().chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        (!word.is_empty()).then_some(Self(word))
    }

    /// The word.
    pub(crate) fn word(&self) -> &str {
        &self.0
    }

    /// The word is a flag that hides the state below it.
    pub(crate) fn is_flag(&self) -> bool {
        FLAGS.contains(&self.word())
    }

    /// Processes of it may still be on its nodes, or its data on the way out.
    pub(crate) fn is_completing(&self) -> bool {
        ["COMPLETING", "STAGE_OUT"].contains(&self.word())
    }

    /// It has ended and its nodes are free.
    pub(crate) fn is_released(&self) -> bool {
        ENDED.contains(&self.word())
    }

    /// It has not started, or waits for its next start.
    pub(crate) fn is_waiting(&self) -> bool {
        WAITING.contains(&self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_counts() {
        assert_eq!(State::read("CANCELLED by 1000").unwrap().word(), "CANCELLED");
        assert_eq!(State::read("CANCELLED+").unwrap().word(), "CANCELLED");
        assert_eq!(State::read("OUT_OF_MEMORY").unwrap().word(), "OUT_OF_MEMORY");
        assert_eq!(State::read(""), None);
        assert_eq!(State::read("(null)"), None);
    }

    #[test]
    fn completing_is_not_released() {
        let state = |word| State::read(word).unwrap();
        assert!(state("COMPLETING").is_flag() && !state("COMPLETING").is_released());
        assert!(state("FAILED").is_released() && !state("FAILED").is_flag());
        assert!(!state("RUNNING").is_released() && !state("RUNNING").is_waiting());
        assert!(state("REQUEUE_HOLD").is_waiting());
        assert!(!state("SOMETHING_NEW").is_released(), "an unknown word frees nothing");
    }
}
