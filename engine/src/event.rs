//! Everything that happens in a run, as one stream: terminal, JSON, reports and tests read the same.

use serde::{Deserialize, Serialize};

use crate::journal::Record;
use crate::step::{Effect, Progress};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An entry was written. These are the run; replaying a journal yields exactly them.
    Recorded(Record),
    /// A visit begins. Droppable.
    Began {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
        /// What its box says.
        title: String,
        /// The box of the page's flow.
        flow: Option<String>,
        /// The step kind.
        kind: String,
    },
    /// A step says how far it is. Droppable.
    Progress {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
        /// What it says.
        progress: Progress,
    },
    /// A break after which another attempt is made. Droppable.
    Retrying {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
        /// What broke.
        message: String,
        /// Time until the next attempt, seconds.
        seconds: f64,
    },
}

/// What a step does, for readers that show it.
pub fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Pure | Effect::Reads => "reads",
        Effect::Reversible => "changes, can be undone",
        Effect::Irreversible => "changes for good",
    }
}
