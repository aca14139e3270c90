//! What a step is given while it runs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::site::Site;

/// A droppable word on how far a long step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing, a short line.
    pub message: String,
    /// Done and total, if they can be counted.
    pub fraction: Option<(u64, u64)>,
}

/// What a step is given while it runs.
#[derive(Clone)]
pub struct StepCx {
    /// The outside world.
    pub site: Arc<dyn Site>,
    /// Names this visit of this run for ever: `20261124-031244-k7f2/12`. A change leaves it where its effect can be
    /// found by it (Slurm's comment field).
    pub token: String,
    /// Where the run's journal stood when this visit began: the number of its last entry and the first 16 characters of that
    /// entry's hash, `57-0a1b2c3d4e5f6071`. Left beside the token it shows later if the journal's tail was cut off. It is
    /// the same at every look of one visit, for consent binds to what is shown.
    pub head: Option<String>,
    /// Set when the person wants to stop: a waiting read ends early with an error, a change is brought to its end.
    pub cancel: CancellationToken,
    /// Where progress goes.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl StepCx {
    /// A context that drops progress and is never cancelled.
    pub fn new(site: Arc<dyn Site>, token: impl Into<String>) -> Self {
        Self {
            site,
            token: token.into(),
            head: None,
            cancel: CancellationToken::new(),
            progress: Arc::new(|_| {}),
        }
    }

    /// Says what it is doing.
    pub fn say(&self, message: impl Into<String>) {
        (self.progress)(Progress { message: message.into(), fraction: None });
    }
}
