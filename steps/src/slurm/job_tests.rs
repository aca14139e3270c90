use std::sync::Arc;

use engine::step::{Read, Step, StepErrorKind};
use serde_json::{Value, json};

use super::*;
use crate::slurm::fixtures as fixture;
use crate::testkit::FakeSite;

async fn look(site: &Arc<FakeSite>, job: &str) -> Result<Performed<Value>, StepError> {
    Read::new(Job).perform(&site.cx(), &json!({ "job": job }), &Value::Null).await
}

async fn read(site: &Arc<FakeSite>, job: &str) -> Done<Value> {
    match look(site, job).await.unwrap() {
        Performed::Done(done) => done,
        Performed::Ask(..) => panic!("it never asks"),
    }
}

/// Slurm 22.05 as the test cluster answers.
fn running(site: &Arc<FakeSite>) {
    site.answer("scontrol -o show job 1", fixture::RUNNING_22_05);
    site.fail("scontrol show job 1 --json", 1, fixture::NO_JSON);
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
          "earlier": [],
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
    site.fail("scontrol", 1, "slurm_load_jobs error: Access/permission denied");
    site.answer("sacct --helpformat", "SubmitLine");
    site.fail("sacct -n", 1, "sacct: fatal: Bad configuration");
    let done = read(&site, "7").await;
    assert_eq!(done.outcome, "unknown");
    assert_eq!(done.output["state"], Value::Null);
}

/// Nothing is known for good of a job about which nobody answered: it is asked again, or later.
#[tokio::test(flavor = "current_thread")]
async fn no_answer_is_no_outcome() {
    let site = FakeSite::shared();
    site.fail("scontrol", 1, "slurm_load_jobs error: Unable to contact slurm controller (connect failure)");
    site.answer("sacct --helpformat", "SubmitLine");
    site.fail("sacct -n", 1, "sacct: error: Sending PersistInit msg: Connection refused");
    let error = look(&site, "7").await.unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Unreachable);
    assert!(error.help.unwrap().contains("scontrol ping"));
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

#[tokio::test(flavor = "current_thread")]
async fn the_runs_before_are_told_of_a_job_that_slurm_started_again() {
    let site = FakeSite::shared();
    running(&site);
    let record = fixture::job("llama", "/d/t.sbatch", "").replace("Restarts=0", "Restarts=1");
    site.local(["scontrol", "-o", "show", "job"], crate::testkit::ok(record));
    let row = |state: &str, start: &str, end: &str| {
        let row = [
            "1",
            "1",
            "llama",
            "root",
            state,
            "None",
            "1:0",
            "1:0",
            "gpu-[22-23]",
            "2",
            "train",
            "root",
            "normal",
            "1795480000",
            start,
            end,
            "",
            "",
            "lab",
            "/d",
            "sbatch t",
        ];
        format!("{}\n", row.join("\u{1f}"))
    };
    let runs = row("RUNNING", "1795485875", "Unknown") + &row("NODE_FAIL", "1795480100", "1795483700");
    site.answer("sacct -n -P -X -D", runs);
    let done = read(&site, "1").await;
    assert_eq!(
        done.output["earlier"],
        json!([{
            "state": "NODE_FAIL", "exit_code": "1:0", "started": "2026-11-24T00:28:20Z",
            "ended": "2026-11-24T01:28:20Z", "nodes": "gpu-[22-23]",
        }])
    );
    let line = "Slurm started it again, 1 so far; the run before ended NODE_FAIL on gpu-[22-23]";
    assert!(done.summary.iter().any(|said| said == line), "{:?}", done.summary);
}
