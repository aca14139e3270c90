//! The step `oom.read`: the first out-of-memory error in the logs of a job.

use async_trait::async_trait;
use engine::step::{Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::logs::find;
use super::placing::Layout;
use super::report::OomError;
use super::survey::{TAIL, survey};

/// What `oom.read` takes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadParams {
    /// Logs of the job: files (also compressed by gzip or zstd), directories that hold them (torchrun's log directory),
    /// paths with `*` and `?`; and `host:/path` for what only that one of `nodes` has.
    #[serde(default)]
    logs: Option<Vec<String>>,
    /// Errors before this time (RFC 3339) are ignored where the lines tell when. A log that names no time zone is
    /// believed to be older only beyond 14 hours.
    #[serde(default)]
    from: Option<String>,
    /// Hosts of the job in the order of its tasks.
    #[serde(default)]
    nodes: Option<Vec<String>>,
    /// Slurm tasks on each host.
    #[serde(default)]
    tasks_per_node: Option<u32>,
}

impl ReadParams {
    /// These logs, from this time on.
    pub(crate) fn of(logs: Vec<String>, from: Option<String>) -> Self {
        Self { logs: Some(logs), from, ..Self::default() }
    }
}

/// `oom.read`.
pub(crate) struct OomRead;

#[async_trait]
impl ReadStep for OomRead {
    const KIND: &'static str = "oom.read";
    const SUMMARY: &'static str = "Find the first out-of-memory error in a job's logs and read its fields";
    type Params = ReadParams;
    type Output = OomError;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("gpu_oom", "GPU memory was refused and a process died of it, before anything else ran out"),
            ("host_oom", "host memory (RAM, its cgroup limit, /dev/shm) ran out first"),
            ("none", "every log was read to its end and nothing died for want of memory"),
            (
                "unknown",
                "a log is missing or unreadable and the others show nothing; or there are only signs (a SIGKILL, a warning) \
                 or two errors whose order cannot be told, or the numbers of the first contradict each other",
            ),
        ])
    }

    async fn read(&self, cx: &StepCx, params: ReadParams) -> Result<Performed<OomError>, StepError> {
        let from = params.from.as_deref().map(parse_from).transpose()?;
        let layout =
            Layout { nodes: params.nodes.unwrap_or_default(), tasks_per_node: params.tasks_per_node };
        let named = params.logs.unwrap_or_default();
        let mut logs = find(&*cx.site, &named, &layout.nodes).await?;
        if named.is_empty() {
            logs.problem("logs", "none are named");
        }
        let found = survey(cx, &mut logs, &layout.nodes, from, TAIL).await?;
        Ok(found.answer(&logs, &layout).into())
    }
}

fn parse_from(text: &str) -> Result<Timestamp, StepError> {
    text.parse().map_err(|error| {
        StepError::new(StepErrorKind::Params, format!("oom.read: `from` is no RFC 3339 time: {error}"))
            .help("write it like 2026-11-24T03:12:44Z")
    })
}
