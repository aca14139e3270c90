use std::sync::Arc;

use engine::step::{Change, Step, StepErrorKind};
use serde_json::{Value, json};

use super::*;
use crate::slurm::fixtures as fixture;
use crate::testkit::{FakeSite, exit};

/// A running job, as the site of a preview and of what follows.
fn site(states: &[&str]) -> Arc<FakeSite> {
    let site = FakeSite::shared();
    site.answer("scontrol -o show job 1", fixture::job("llama", "/d/train.sbatch", ""));
    site.answer("scontrol show config", "ClusterName = lab\n");
    site.answer("scontrol show hostnames 'gpu-[20-21]'", "gpu-20\ngpu-21\n");
    site.answer("scontrol show hostnames gpu-21", "gpu-21\n");
    site.answer(
        "squeue -h -t PD",
        "7\u{1f}afterany:1(unfulfilled)\u{1f}next\n8\u{1f}afterok:11\u{1f}x\n9\u{1f}(null)\u{1f}llama\n",
    );
    site.answer("scancel 1", "");
    for state in states {
        site.answer("squeue -h -j 1", format!("{}\n", state.replace('|', "\u{1f}")));
    }
    site
}

async fn preview(site: &Arc<FakeSite>, with: &Value) -> engine::step::AnyPreview {
    Change::new(Cancel).preview(&site.cx(), with).await.unwrap()
}

async fn perform(site: &Arc<FakeSite>, with: &Value, intent: &Value) -> Result<Done<Value>, StepError> {
    match Change::new(Cancel).perform(&site.cx(), with, intent).await? {
        Performed::Done(done) => Ok(done),
        Performed::Ask(..) => panic!("it never asks"),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_gate_shows_the_command_and_who_is_hit() {
    let site = site(&["RUNNING|gpu-[20-21]"]);
    let shown = preview(&site, &json!({ "job": 1, "lost_steps": 37 })).await;
    let nodes = vec!["gpu-20".to_owned(), "gpu-21".to_owned()];
    let (users, jobs) = (vec!["root".to_owned()], vec!["1".to_owned()]);
    let price = Price { gpus: Some(8), nodes, users, jobs, steps_lost: Some(37), gpu_hours_lost: None };
    assert_eq!(shown.price, price);
    assert_eq!(shown.commands, ["scancel 1"]);
    assert_eq!(shown.target, "job 1 on cluster lab");
    insta::assert_snapshot!(shown.notes.join("\n"), @r#"
        job 1 (llama) of root is RUNNING, since 2026-11-24T02:04:35Z
        wait for it and may start when it ends, into the same failure: 7 (afterany:1(unfulfilled))
        queued under the same name: 9
        "#);
    assert_eq!(shown.predicted[0].outcome, "released");
    assert!(!site.lines().contains(&"scancel 1".to_owned()), "a preview changes nothing");
    assert_eq!(
        shown,
        preview(&site, &json!({ "job": 1, "lost_steps": 37 })).await,
        "consent binds to it, so it must not waver"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn another_persons_job_is_theirs_to_stop() {
    let site = site(&["RUNNING|gpu-[20-21]"]);
    let intent = preview(&site, &json!({ "job": 1 })).await.intent;
    site.local(
        ["scancel"],
        exit(1, "", "scancel: error: Kill job error on job id 1: Access/permission denied\n"),
    );
    let done = perform(&site, &json!({ "job": 1 }), &intent).await.unwrap();
    assert_eq!((done.outcome.as_str(), &done.output["released"]), ("denied", &json!(false)));
    insta::assert_snapshot!(done.output["request"].as_str().unwrap(), @r"
        Please stop job 1.

            scancel 1

        That ends the job and frees gpu-20, gpu-21.
        ");
    assert_eq!(site.slept().as_secs(), 0, "nothing is waited for");
}

#[tokio::test(flavor = "current_thread")]
async fn released_only_when_no_longer_completing() {
    let site = site(&["COMPLETING|gpu-[20-21]", "COMPLETING|gpu-21", "CANCELLED|gpu-[20-21]"]);
    let with = json!({ "job": "1" });
    let intent = preview(&site, &with).await.intent;
    let done = perform(&site, &with, &intent).await.unwrap();
    assert_eq!(done.outcome, "released");
    assert_eq!(done.output["state_before"], "RUNNING");
    assert_eq!(done.output["state_after"], "CANCELLED");
    assert_eq!(done.output["waited_seconds"], 3);
    assert_eq!(site.lines().iter().filter(|call| *call == "scancel 1").count(), 1);
    let scancel = site.runs().into_iter().find(|command| command.to_string() == "scancel 1").unwrap();
    assert!(scancel.env_remove.contains(&"SCANCEL_*".to_owned()));
}

#[tokio::test(flavor = "current_thread")]
async fn stuck_names_the_nodes() {
    let site = site(&["COMPLETING|gpu-[20-21]", "COMPLETING|gpu-21"]);
    let with = json!({ "job": "1", "timeout": "30s" });
    let intent = preview(&site, &with).await.intent;
    let done = perform(&site, &with, &intent).await.unwrap();
    assert_eq!((done.outcome.as_str(), &done.output["released"]), ("stuck", &json!(false)));
    assert_eq!(done.output["nodes"], json!(["gpu-21"]));
    assert_eq!(done.summary[0], "job 1 is still COMPLETING on gpu-21 after 30 s");
}

#[tokio::test(flavor = "current_thread")]
async fn another_submission_is_not_touched() {
    let site = site(&["RUNNING|gpu-20"]);
    let with =
        json!({ "job": "1", "pin": { "cluster": "lab", "job": "1", "submitted": null, "restarts": 3 } });
    let error = Change::new(Cancel).preview(&site.cx(), &with).await.unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Drifted);
    let with = json!({ "job": "1" });
    let mut intent = preview(&site, &with).await.intent;
    intent["pin"]["submitted"] = json!("2026-11-23T00:00:00Z");
    assert_eq!(perform(&site, &with, &intent).await.unwrap_err().kind, StepErrorKind::Drifted);
    assert!(!site.lines().contains(&"scancel 1".to_owned()));
}

#[tokio::test(flavor = "current_thread")]
async fn an_ended_job_needs_nothing() {
    let site = FakeSite::shared();
    site.answer(
        "scontrol -o show job 1",
        fixture::job("l", "/x", "").replace("JobState=RUNNING", "JobState=FAILED"),
    );
    site.answer("scontrol show config", "");
    site.answer("scontrol show hostnames", "gpu-20\ngpu-21\n");
    let done = preview(&site, &json!({ "job": "1" })).await.nothing_to_do.unwrap();
    assert_eq!((done.outcome.as_str(), &done.output["state_after"]), ("released", &json!("FAILED")));
    let site = FakeSite::shared();
    site.fail("scontrol", 1, "slurm_load_jobs error: Invalid job id specified");
    let done = preview(&site, &json!({ "job": "1" })).await.nothing_to_do.unwrap();
    assert_eq!(done.outcome, "released");
}

#[tokio::test(flavor = "current_thread")]
async fn a_lost_scancel_is_told_by_the_state() {
    let site = FakeSite::shared();
    site.answer("scontrol -o show job 1", fixture::job("llama", "/d/train.sbatch", ""));
    site.answer("scontrol show config", "ClusterName = lab\n");
    site.answer("scontrol show hostnames", "gpu-20\ngpu-21\n");
    site.answer("squeue -h -t PD", "");
    site.error("scancel", SiteErrorKind::Timeout);
    site.answer("squeue -h -j 1", "CANCELLED\u{1f}gpu-20\n");
    let intent = preview(&site, &json!({ "job": "1" })).await.intent;
    assert_eq!(perform(&site, &json!({ "job": "1" }), &intent).await.unwrap().outcome, "released");
}

#[tokio::test(flavor = "current_thread")]
async fn confirming() {
    let with = json!({ "job": "1" });
    let intent = preview(&site(&[]), &with).await.intent;
    let confirm = async |site: Arc<FakeSite>, intent: &Value| {
        Change::new(Cancel).confirm(&site.cx(), &with, intent).await.unwrap()
    };
    assert_eq!(confirm(site(&["RUNNING|gpu-20"]), &intent).await, Confirmation::DidNot);
    let happened = confirm(site(&["COMPLETING|gpu-20", "CANCELLED|gpu-20"]), &intent).await;
    assert!(matches!(happened, Confirmation::Happened(done) if done.outcome == "released"));
    let mut earlier = intent.clone();
    earlier["pin"]["submitted"] = json!("2026-11-23T00:00:00Z");
    assert!(matches!(confirm(site(&["RUNNING|gpu-20"]), &earlier).await, Confirmation::Unknown(_)));
    let away = FakeSite::shared();
    away.answer("scontrol show config", "ClusterName = lab\n");
    away.fail("squeue", 1, "slurm_load_jobs error: Unable to contact slurm controller (connect failure)");
    assert!(matches!(confirm(away, &intent).await, Confirmation::Unknown(_)));
    let forgotten = FakeSite::shared();
    forgotten.answer("scontrol show config", "ClusterName = lab\n");
    forgotten.fail("squeue", 1, "slurm_load_jobs error: Invalid job id specified");
    assert!(matches!(confirm(forgotten, &intent).await, Confirmation::Happened(_)));
}
