//! `slurm.job`: what Slurm knows of a job.

use async_trait::async_trait;
use engine::step::{Done, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::no_answer;
use super::id::JobId;
use super::pin::Pin;
use super::query::{self, Found};
use super::record::{Record, Source};
use super::script::{batch_script, on_disk};
use crate::text::{clean, count, names};

/// Most of a script that is looked through for log patterns, in bytes.
const SCRIPT_LIMIT: usize = 1 << 20;

/// Parameters of `slurm.job`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Id of the job: `123`, or `123_4` for one task of an array.
    job: JobId,
}

/// One run of a job that Slurm started again under the same id.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Run {
    /// How it ended: `FAILED`, `NODE_FAIL`, `REQUEUED`.
    pub(crate) state: Option<String>,
    /// Exit status and signal of the batch script.
    pub(crate) exit_code: Option<String>,
    /// When it started, RFC 3339.
    pub(crate) started: Option<String>,
    /// When it ended, RFC 3339.
    pub(crate) ended: Option<String>,
    /// Its nodes, as Slurm folds them.
    pub(crate) nodes: Option<String>,
}

/// What Slurm knows of a job; what it does not say is `null`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// Id by which exactly this job is named: `123`, `123_4`.
    pub(crate) job: String,
    /// Id of the array that it is a task of.
    pub(crate) array_job: Option<String>,
    /// Index of the task in its array.
    pub(crate) array_task: Option<u64>,
    /// Its name.
    pub(crate) name: Option<String>,
    /// Its owner.
    pub(crate) user: Option<String>,
    /// Its state, one word: `RUNNING`, `FAILED`. `COMPLETING` where Slurm does not tell the state that this hides.
    pub(crate) state: Option<String>,
    /// Flags on the state, as far as Slurm prints one: `COMPLETING`, `REQUEUED`.
    pub(crate) flags: Vec<String>,
    /// Its processes are being ended, its nodes are not free yet.
    pub(crate) completing: Option<bool>,
    /// Why it is in this state, Slurm's word: `NonZeroExitCode`.
    pub(crate) reason: Option<String>,
    /// Exit status and signal of the batch script: `1:0`.
    pub(crate) exit_code: Option<String>,
    /// Highest exit status of its steps: `1:0`.
    pub(crate) derived_exit_code: Option<String>,
    /// Its nodes, unfolded; empty while it has none.
    pub(crate) nodes: Option<Vec<String>>,
    /// The node on which the batch script runs.
    pub(crate) batch_host: Option<String>,
    /// Number of nodes.
    pub(crate) num_nodes: Option<u64>,
    /// Number of tasks (ranks, if `srun` starts them).
    pub(crate) tasks: Option<u64>,
    /// Tasks on each node, if it was asked for.
    pub(crate) tasks_per_node: Option<u64>,
    /// GPUs in all.
    pub(crate) gpus: Option<u64>,
    /// GPUs on each node, if it was asked for so.
    pub(crate) gpus_per_node: Option<u64>,
    /// Partition.
    pub(crate) partition: Option<String>,
    /// Account.
    pub(crate) account: Option<String>,
    /// When it was submitted (or requeued), RFC 3339.
    pub(crate) submitted: Option<String>,
    /// When it started, RFC 3339; `null` before.
    pub(crate) started: Option<String>,
    /// When it ended, RFC 3339; `null` before.
    pub(crate) ended: Option<String>,
    /// How often it was started again.
    pub(crate) restarts: Option<u64>,
    /// The runs before the present one, if it was started again and the records tell them; the newest last.
    pub(crate) earlier: Option<Vec<Run>>,
    /// Slurm may start it again by itself (after a node failure, or by `RequeueExit`).
    pub(crate) requeue: Option<bool>,
    /// Its working directory.
    pub(crate) work_dir: Option<String>,
    /// Path of the script and its arguments, as Slurm joins them.
    pub(crate) command: Option<String>,
    /// The file from which the script was taken, if it is still there. It may have been edited since.
    pub(crate) script: Option<String>,
    /// The line by which it was submitted (from Slurm 21.08 on), words joined by blanks.
    pub(crate) submit_line: Option<String>,
    /// File of its standard output, as Slurm says it.
    pub(crate) stdout: Option<String>,
    /// File of its standard error, as Slurm says it; `null` if it is the same.
    pub(crate) stderr: Option<String>,
    /// Its log files that exist: output, error, and the files of its ranks.
    pub(crate) logs: Vec<String>,
    /// Its comment.
    pub(crate) comment: Option<String>,
    /// Name of the cluster.
    pub(crate) cluster: Option<String>,
    /// What tells this submission from another under the same id; changes take it as `pin`.
    pub(crate) pin: Option<Pin>,
    /// Who told it: slurmctld (`scontrol`) or the records (`sacct`).
    pub(crate) source: Option<Source>,
}

/// See the module.
pub(crate) struct Job;

#[async_trait]
impl ReadStep for Job {
    const KIND: &'static str = "slurm.job";
    const SUMMARY: &'static str = "Read what Slurm knows of a job: state, nodes, times, script, logs";
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("found", "The job is known, whatever its state: a wedged job is found and RUNNING"),
            ("missing", "Neither slurmctld nor the records know it"),
            ("unknown", "Slurm's answer does not tell it"),
        ])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let (record, others) = match query::job(cx, &params.job).await? {
            Found::Job(record, others) => (*record, others),
            Found::Missing(why) => return Ok(Done::new("missing", nothing(&params.job)).line(why).into()),
            Found::Unknown(why) => return Ok(Done::new("unknown", nothing(&params.job)).line(why).into()),
            Found::Unreachable(why) => return Err(no_answer(why)),
        };
        let output = describe(cx, record, &others).await?;
        Ok(summary(output).into())
    }
}

/// Everything about a found job. `others` are the further components of a heterogeneous job.
pub(crate) async fn describe(
    cx: &StepCx,
    mut record: Record,
    others: &[Record],
) -> Result<Output, StepError> {
    if record.cluster.is_none() {
        record.cluster = query::cluster(cx).await?;
    }
    let mut nodes = query::nodes(cx, record.node_list.as_deref()).await?;
    for other in others {
        let more = query::nodes(cx, other.node_list.as_deref()).await?;
        nodes = nodes.zip(more).map(|(nodes, more)| [nodes, more].concat());
    }
    let text = script_text(cx, &record).await?;
    let script = on_disk(cx, &record).await?;
    let logs = super::logs::find(cx, &record, text.as_deref(), nodes.as_deref().unwrap_or_default()).await?;
    let earlier = earlier(cx, &record).await?;
    let state = record.state.clone();
    let flag = state.as_ref().filter(|state| state.is_flag());
    let sum = |get: fn(&Record) -> Option<u64>| {
        others.iter().try_fold(get(&record)?, |sum, other| Some(sum + get(other)?))
    };
    Ok(Output {
        array_job: record.array_job.map(|job| job.to_string()),
        array_task: record.array_task,
        state: record.base.as_ref().or(state.as_ref()).map(|state| state.word().to_owned()),
        flags: flag.map(|flag| flag.word().to_owned()).into_iter().collect(),
        completing: state.as_ref().map(super::state::State::is_completing),
        num_nodes: sum(|record| record.num_nodes),
        tasks: sum(|record| record.tasks),
        gpus: sum(|record| record.gpus),
        gpus_per_node: record.gpus_per_node.filter(|_| others.is_empty()),
        tasks_per_node: record.tasks_per_node.filter(|_| others.is_empty()),
        submitted: record.submitted.map(|time| time.to_string()),
        started: record.started.map(|time| time.to_string()),
        ended: record.ended.map(|time| time.to_string()),
        pin: Some(Pin::of(&record)),
        source: Some(record.source),
        nodes,
        script,
        logs,
        earlier,
        job: record.job,
        name: record.name,
        user: record.user,
        reason: record.reason,
        exit_code: record.exit_code,
        derived_exit_code: record.derived_exit_code,
        batch_host: record.batch_host,
        partition: record.partition,
        account: record.account,
        restarts: record.restarts,
        requeue: record.requeue,
        work_dir: record.work_dir,
        command: record.command,
        submit_line: record.submit_line,
        stdout: record.stdout,
        stderr: record.stderr,
        comment: record.comment,
        cluster: record.cluster,
    })
}

/// The runs before the present one; most jobs have none, and then nobody is asked.
async fn earlier(cx: &StepCx, record: &Record) -> Result<Option<Vec<Run>>, StepError> {
    match record.restarts {
        None => return Ok(None),
        Some(0) => return Ok(Some(Vec::new())),
        Some(_) => {}
    }
    let Ok(id) = JobId::parse(&record.job) else { return Ok(None) };
    let runs = super::sacct::earlier(cx, &id, record.started).await?;
    let run = |run: Record| Run {
        state: run.state.map(|state| state.word().to_owned()),
        exit_code: run.exit_code,
        started: run.started.map(|time| time.to_string()),
        ended: run.ended.map(|time| time.to_string()),
        nodes: run.node_list,
    };
    Ok(if runs.is_empty() { None } else { Some(runs.into_iter().map(run).collect()) })
}

/// The script that the job runs, as text. That it may not be read is no error here: it only helps to find logs.
async fn script_text(cx: &StepCx, record: &Record) -> Result<Option<String>, StepError> {
    if record.batch == Some(false) {
        return Ok(None);
    }
    match batch_script(cx, &record.job).await {
        Ok(script) => Ok(script
            .filter(|script| script.len() <= SCRIPT_LIMIT)
            .map(|script| String::from_utf8_lossy(&script).into_owned())),
        Err(error) if error.kind == StepErrorKind::NotRecorded => Err(error),
        Err(_) => Ok(None),
    }
}

fn nothing(job: &JobId) -> Output {
    Output {
        job: job.to_string(),
        array_job: None,
        array_task: None,
        name: None,
        user: None,
        state: None,
        flags: Vec::new(),
        completing: None,
        reason: None,
        exit_code: None,
        derived_exit_code: None,
        nodes: None,
        batch_host: None,
        num_nodes: None,
        tasks: None,
        tasks_per_node: None,
        gpus: None,
        gpus_per_node: None,
        partition: None,
        account: None,
        submitted: None,
        started: None,
        ended: None,
        restarts: None,
        earlier: None,
        requeue: None,
        work_dir: None,
        command: None,
        script: None,
        submit_line: None,
        stdout: None,
        stderr: None,
        logs: Vec::new(),
        comment: None,
        cluster: None,
        pin: None,
        source: None,
    }
}

fn summary(output: Output) -> Done<Output> {
    let or = |value: &Option<String>, other: &str| value.as_deref().map_or_else(|| other.to_owned(), clean);
    let mut state = or(&output.state, "state unknown");
    if output.completing == Some(true) && state != "COMPLETING" {
        state.push_str(" (completing: nodes not free yet)");
    }
    if let Some(code) = output.exit_code.as_deref().filter(|_| output.ended.is_some()) {
        state.push_str(&format!(", exit code {}", clean(code)));
    }
    if let Some(reason) = &output.reason {
        state.push_str(&format!(" ({})", clean(reason)));
    }
    let first = format!(
        "job {} {} of {}: {state}",
        output.job,
        or(&output.name, "without a name"),
        or(&output.user, "an unknown user")
    );
    let nodes = output.nodes.as_deref().unwrap_or_default();
    let second = match (nodes.len(), output.gpus) {
        (0, _) => "no nodes".to_owned(),
        (n, Some(gpus)) => format!("{}, {gpus} GPUs: {}", count(n, "node"), names(nodes)),
        (n, None) => format!("{}: {}", count(n, "node"), names(nodes)),
    };
    let mut done = Done::new("found", output).line(first).line(second);
    if let Some(restarts) = done.output.restarts.filter(|&restarts| restarts > 0) {
        let last = done.output.earlier.as_deref().and_then(<[Run]>::last);
        let last = last.map_or_else(String::new, |run| {
            let nodes =
                run.nodes.as_deref().map_or_else(String::new, |nodes| format!(" on {}", clean(nodes)));
            format!("; the run before ended {}{nodes}", or(&run.state, "in an unknown state"))
        });
        done = done.line(format!("Slurm started it again, {restarts} so far{last}"));
    }
    match done.output.logs.len() {
        0 => done.line("no log file found"),
        1 => {
            let log = clean(&done.output.logs[0]);
            done.line(format!("log {log}"))
        }
        n => {
            let log = clean(&done.output.logs[0]);
            done.line(format!("{n} logs, first {log}"))
        }
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
