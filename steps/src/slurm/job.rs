//! `slurm.job`: what Slurm knows of a job.

use async_trait::async_trait;
use engine::step::{Done, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
            ("unknown", "Slurm could not be asked, so it cannot be told"),
        ])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let (record, others) = match query::job(cx, &params.job).await? {
            Found::Job(record, others) => (*record, others),
            Found::Missing(why) => return Ok(Done::new("missing", nothing(&params.job)).line(why).into()),
            Found::Unknown(why) => return Ok(Done::new("unknown", nothing(&params.job)).line(why).into()),
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
    let logs = super::logs::find(cx, &record, text.as_deref()).await?;
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
        done = done.line(format!("Slurm started it again, {restarts} so far"));
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
mod tests {
    use std::sync::Arc;

    use engine::step::{Read, Step};
    use serde_json::{Value, json};

    use super::*;
    use crate::slurm::fixtures as fixture;
    use crate::testkit::FakeSite;

    async fn read(site: &Arc<FakeSite>, job: &str) -> Done<Value> {
        let step = Read::new(Job);
        match step.perform(&site.cx(), &json!({ "job": job }), &Value::Null).await.unwrap() {
            Performed::Done(done) => done,
            Performed::Ask(..) => panic!("it never asks"),
        }
    }

    /// Slurm 22.05 as the test cluster answers.
    fn running(site: &Arc<FakeSite>) {
        site.answer("scontrol -o show job 1", fixture::RUNNING_22_05);
        site.answer(
            "squeue -h -t all -j 1",
            "my job=1 Reason=x\u{1f}hello JobState=FAILED a=b\u{1f}/root/slurmtry/my dir/train.sbatch --lr 3 a b\u{1f}/root/slurmtry/my dir\n",
        );
        site.answer("sacct --helpformat", "Submit SubmitLine WorkDir");
        // Columns: JobIDRaw … WorkDir, SubmitLine. A job that runs has no comment in the records yet.
        let row = [
            "1",
            "1",
            "my job=1 Reason=x",
            "root",
            "RUNNING",
            "None",
            "0:0",
            "0:0",
            "gpu-[20-21]",
            "2",
            "train",
            "root",
            "normal",
            "1795485875",
            "1795485875",
            "Unknown",
            "cpu=4,gres/gpu=8,node=2",
            "",
            "testcluster",
            "/root/slurmtry/my dir",
            "sbatch --parsable -N2 train.sbatch --lr 3 a b",
        ];
        site.answer("sacct -n", format!("{}\n", row.join("\u{1f}")));
        site.answer("scontrol show hostnames", "gpu-20\ngpu-21\n");
        site.answer(
            "scontrol write batch_script 1 -",
            "#!/bin/bash\nsrun --output=rank-%t.out python train.py\n",
        );
        for name in ["train.sbatch", "slurm-1.out", "rank-0.out", "rank-1.out"] {
            site.file(&format!("/root/slurmtry/my dir/{name}"), "x");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_wedged_job_is_found_and_running() {
        let site = FakeSite::shared();
        running(&site);
        let done = read(&site, "1").await;
        assert_eq!(done.outcome, "found");
        insta::assert_json_snapshot!(done.output, @r#"
            {
              "job": "1",
              "array_job": null,
              "array_task": null,
              "name": "my job=1 Reason=x",
              "user": "root",
              "state": "RUNNING",
              "flags": [],
              "completing": false,
              "reason": null,
              "exit_code": null,
              "derived_exit_code": null,
              "nodes": [
                "gpu-20",
                "gpu-21"
              ],
              "batch_host": "gpu-20",
              "num_nodes": 2,
              "tasks": 4,
              "tasks_per_node": 2,
              "gpus": 8,
              "gpus_per_node": 4,
              "partition": "train",
              "account": "root",
              "submitted": "2026-11-24T02:04:35Z",
              "started": "2026-11-24T02:04:35Z",
              "ended": null,
              "restarts": 0,
              "requeue": true,
              "work_dir": "/root/slurmtry/my dir",
              "command": "/root/slurmtry/my dir/train.sbatch --lr 3 a b",
              "script": "/root/slurmtry/my dir/train.sbatch",
              "submit_line": "sbatch --parsable -N2 train.sbatch --lr 3 a b",
              "stdout": "/root/slurmtry/my dir/slurm-1.out",
              "stderr": null,
              "logs": [
                "/root/slurmtry/my dir/slurm-1.out",
                "/root/slurmtry/my dir/rank-0.out",
                "/root/slurmtry/my dir/rank-1.out"
              ],
              "comment": "hello JobState=FAILED a=b",
              "cluster": "testcluster",
              "pin": {
                "cluster": "testcluster",
                "job": "1",
                "submitted": "2026-11-24T02:04:35Z",
                "restarts": 0
              },
              "source": "scontrol"
            }
            "#);
        insta::assert_snapshot!(done.summary.join("\n"), @r#"
            job 1 my job=1 Reason=x of root: RUNNING
            2 nodes, 8 GPUs: gpu-20, gpu-21
            3 logs, first /root/slurmtry/my dir/slurm-1.out
            "#);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_forgotten_job_is_found_in_the_records() {
        let site = FakeSite::shared();
        running(&site);
        let site = {
            let forgotten = FakeSite::shared();
            forgotten.fail("scontrol -o show job", 1, "slurm_load_jobs error: Invalid job id specified");
            forgotten.fail("scontrol write", 0, "job script retrieval failed: Invalid job id specified");
            forgotten.answer("sacct --helpformat", "SubmitLine");
            let row = [
                "1",
                "1",
                "llama",
                "root",
                "CANCELLED by 0",
                "None",
                "0:0",
                "0:0",
                "gpu-[20-21]",
                "2",
                "train",
                "root",
                "normal",
                "1795485875",
                "1795485875",
                "1795486002",
                "cpu=4,gres/gpu=8,node=2",
                "c|d",
                "testcluster",
                "/d",
                "sbatch train.sbatch",
            ];
            forgotten.answer("sacct -n", format!("{}\n", row.join("\u{1f}")));
            forgotten.answer("sacct -B", "");
            forgotten.answer("scontrol show hostnames", "gpu-20\ngpu-21\n");
            forgotten.file("/d/train.sbatch", "x");
            forgotten.file("/d/slurm-1.out", "x");
            forgotten
        };
        let done = read(&site, "1").await;
        let get = |name: &str| done.output[name].clone();
        assert_eq!(get("source"), "sacct");
        assert_eq!(get("state"), "CANCELLED");
        assert_eq!(get("comment"), "c|d");
        assert_eq!(get("ended"), "2026-11-24T02:06:42Z");
        assert_eq!(get("script"), "/d/train.sbatch");
        assert_eq!(get("logs"), json!(["/d/slurm-1.out"]));
        assert_eq!(get("tasks"), Value::Null);
        assert_eq!(
            get("pin"),
            json!({ "cluster": "testcluster", "job": "1", "submitted": "2026-11-24T02:04:35Z", "restarts": null })
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn missing_and_unknown() {
        let site = FakeSite::shared();
        site.fail("scontrol", 1, "slurm_load_jobs error: Invalid job id specified");
        site.answer("sacct --helpformat", "SubmitLine");
        site.answer("sacct -n", "");
        assert_eq!(read(&site, "7").await.outcome, "missing");
        let site = FakeSite::shared();
        site.fail(
            "scontrol",
            1,
            "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        );
        site.answer("sacct --helpformat", "SubmitLine");
        site.fail("sacct -n", 1, "sacct: error: Sending PersistInit msg: Connection refused");
        let done = read(&site, "7").await;
        assert_eq!(done.outcome, "unknown");
        assert_eq!(done.output["state"], Value::Null);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn every_command_asks_in_a_clean_environment() {
        let site = FakeSite::shared();
        running(&site);
        read(&site, "1").await;
        for command in site.runs() {
            assert_eq!(command.env.get("SLURM_TIME_FORMAT").map(String::as_str), Some("%s"), "{command}");
            assert!(command.env_remove.iter().any(|name| name == "SQUEUE_*"), "{command}");
        }
    }
}
