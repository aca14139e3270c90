//! What this family asks of others: what a step line is, what an out-of-memory report is, what a complete checkpoint is.

use std::sync::Arc;

use async_trait::async_trait;
use engine::step::{StepCx, StepError};

/// A checkpoint that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The training step that it holds.
    pub(crate) step: u64,
    /// Where it is.
    pub(crate) path: String,
}

/// Knows complete checkpoints.
#[async_trait]
pub(crate) trait CheckpointProbe: Send + Sync {
    /// The newest complete checkpoint below a directory; `None` if there is none.
    async fn newest(&self, cx: &StepCx, dir: &str) -> Result<Option<Checkpoint>, StepError>;

    /// The directory of checkpoints that a log line names as written to; relative paths are those of `workdir`.
    fn dir_of(&self, line: &str, workdir: Option<&str>) -> Option<String>;
}

/// Knows out-of-memory reports.
#[async_trait]
pub(crate) trait OomProbe: Send + Sync {
    /// Whether a log line can be the beginning of a report: cheap, may be wrong in one direction only.
    fn suspects(&self, line: &str) -> bool;

    /// The first report of memory running out (of a GPU or of a host) in the logs of a job that started at `from`
    /// (RFC 3339), in one line for people; `None` if there is none.
    async fn first(
        &self,
        cx: &StepCx,
        logs: &[String],
        from: Option<&str>,
    ) -> Result<Option<String>, StepError>;
}

/// All three, wired by the crate.
#[derive(Clone)]
pub(crate) struct Probes {
    /// The training step that a log line reports.
    pub(crate) step_of: fn(&str) -> Option<u64>,
    pub(crate) oom: Arc<dyn OomProbe>,
    pub(crate) checkpoints: Arc<dyn CheckpointProbe>,
}
