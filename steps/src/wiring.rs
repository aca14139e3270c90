//! What families ask of one another, so that none has to know how the other works.

use std::sync::Arc;

use async_trait::async_trait;
use engine::step::{Performed, ReadStep, StepCx, StepError};

use crate::checkpoint;
use crate::job::{Checkpoint, CheckpointProbe, OomProbe, Probes};
use crate::oom::{self, OomRead, ReadParams};

/// How `job.watch` recognises steps, checkpoints and memory running out.
pub(crate) fn probes() -> Probes {
    Probes { step_of: oom::step_of, oom: Arc::new(OomInLogs), checkpoints: Arc::new(CheckpointsOnDisk) }
}

struct OomInLogs;

#[async_trait]
impl OomProbe for OomInLogs {
    fn suspects(&self, line: &str) -> bool {
        oom::suspects(line)
    }

    async fn first(
        &self,
        cx: &StepCx,
        logs: &[String],
        from: Option<&str>,
    ) -> Result<Option<String>, StepError> {
        let params = ReadParams::of(logs.to_vec(), from.map(str::to_owned));
        let Performed::Done(done) = OomRead.read(cx, params).await? else { return Ok(None) };
        let found = matches!(done.outcome.as_str(), "gpu_oom" | "host_oom");
        Ok(found.then(|| done.summary.into_iter().next().unwrap_or(done.outcome)))
    }
}

struct CheckpointsOnDisk;

#[async_trait]
impl CheckpointProbe for CheckpointsOnDisk {
    async fn newest(&self, cx: &StepCx, dir: &str) -> Result<Option<Checkpoint>, StepError> {
        let survey = checkpoint::latest(&*cx.site, dir).await?;
        let newest = survey.newest(None);
        Ok(newest.and_then(|found| Some(Checkpoint { step: found.step?, path: found.path.clone() })))
    }

    fn dir_of(&self, line: &str, workdir: Option<&str>) -> Option<String> {
        checkpoint::named_by(line, workdir)
    }
}
