use std::sync::Arc;

use engine::step::{AnyPreview, Change, Step};
use serde_json::{Value, json};

use super::*;
use crate::slurm::fixtures as fixture;
use crate::testkit::FakeSite;

const TOKEN_JOB: &str = "9\u{1f}PENDING\u{1f}nightly runbook:run/1\u{1f}llama3-8b\u{1f}1795486000\n";

/// A failed job, still known to slurmctld.
fn site() -> Arc<FakeSite> {
    let site = FakeSite::shared();
    site.answer("scontrol -o show job 123456", fixture::FAILED_25_11);
    site.answer("sacct --helpformat", "SubmitLine");
    site.answer("sacct -n", "");
    site.answer("scontrol show config", "ClusterName = lab\n");
    site.answer("sbatch --test-only", "");
    site.answer("id -un", "kim\n");
    site.answer("squeue -h -t all", "");
    site.file("/home/kim/train.sbatch", "#!/bin/bash\nsrun true\n");
    site
}

fn with() -> Value {
    json!({ "job": "123456", "options": ["--exclude=gpu-21"], "env": { "A": "b c" } })
}

async fn preview(site: &Arc<FakeSite>, with: &Value) -> AnyPreview {
    Change::new(Submit).preview(&site.cx(), with).await.unwrap()
}

async fn perform(site: &Arc<FakeSite>, intent: &Value) -> Result<Done<Value>, StepError> {
    match Change::new(Submit).perform(&site.cx(), &with(), intent).await? {
        Performed::Done(done) => Ok(done),
        Performed::Ask(..) => panic!("it never asks"),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_gate_shows_the_whole_line() {
    let site = site();
    let shown = preview(&site, &with()).await;
    insta::assert_snapshot!(format!("{}\n{}\n{}", shown.target, shown.commands.join("\n"), shown.notes.join("\n")), @r"
    job 123456 again, in /home/kim
    A='b c' sbatch --parsable -N2 --exclude=gpu-21 '--comment=nightly runbook:run/1' train.sbatch
    sbatch --test-only accepts it
    /home/kim/train.sbatch as it is now, SHA-256 63466bea15dc…
    the job gets the environment of this shell, unless --export in the line or script says otherwise
    ");
    assert_eq!(shown.predicted[0].outcome, "submitted");
    assert_eq!(shown.predicted[0].output["job"], Value::Null);
    assert_eq!(shown, preview(&site, &with()).await, "consent binds to it, so it must not waver");
    assert!(site.lines().iter().all(|call| !call.contains("--parsable")), "nothing is submitted");
    assert_eq!(shown.price, Price { gpus: Some(16), ..Price::nothing() });
    let smaller = preview(&site, &json!({ "job": "123456", "options": ["-N", "1"] })).await;
    assert_eq!(smaller.price.gpus, None, "how many it gets is Slurm's to say");
}

#[tokio::test(flavor = "current_thread")]
async fn a_refusal_is_foretold() {
    let site = site();
    let refusing = FakeSite::shared();
    refusing.answer("scontrol -o show job 123456", fixture::FAILED_25_11.replace("=FAILED", "=RUNNING"));
    for (start, text) in
        [("sacct --helpformat", "SubmitLine"), ("sacct -n", ""), ("scontrol show config", ""), ("id", "root")]
    {
        refusing.answer(start, text);
    }
    refusing.fail(
        "sbatch --test-only",
        1,
        "allocation failure: Requested node configuration is not available\n",
    );
    refusing.file("/home/kim/train.sbatch", "x");
    drop(site);
    let shown = preview(&refusing, &with()).await;
    assert_eq!(shown.predicted[0].outcome, "refused");
    let notes = shown.notes.join("\n");
    assert!(notes.contains("allocation failure"), "{notes}");
    assert!(notes.contains("both would run"), "{notes}");
    assert!(notes.contains("the first job is kim's; this one will be root's"), "{notes}");
}

#[tokio::test(flavor = "current_thread")]
async fn submits_in_the_same_directory_and_a_clean_environment() {
    for (said, job) in [("124\n", "124"), ("124;lab\n", "124"), ("site: welcome\n124\n", "124")] {
        let site = site();
        let intent = preview(&site, &with()).await.intent;
        site.answer("sbatch --parsable", said);
        let done = perform(&site, &intent).await.unwrap();
        assert_eq!((done.outcome.as_str(), &done.output["job"]), ("submitted", &json!(job)));
        let sent = site.runs().into_iter().find(|c| c.to_string().contains("--parsable")).unwrap();
        assert_eq!(sent.cwd.as_deref(), Some("/home/kim"));
        assert_eq!(sent.env, BTreeMap::from([("A".to_owned(), "b c".to_owned())]));
        assert!(
            sent.env_remove.contains(&"SBATCH_*".to_owned())
                && sent.env_remove.contains(&"SLURM_JOB*".to_owned())
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_sbatch_says_decides() {
    let site = site();
    let intent = preview(&site, &with()).await.intent;
    site.fail(
        "sbatch --parsable",
        1,
        "sbatch: error: Batch job submission failed: Invalid qos specification\n",
    );
    let done = perform(&site, &intent).await.unwrap();
    assert_eq!(done.outcome, "refused");
    assert!(done.output["message"].as_str().unwrap().contains("Invalid qos"));
    for doubt in [
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "Zero Bytes were transmitted or received",
    ] {
        let site = self::site();
        site.fail("sbatch --parsable", 1, doubt);
        assert_eq!(perform(&site, &intent).await.unwrap_err().kind, StepErrorKind::InDoubt);
    }
    let site = self::site();
    site.fail(
        "sbatch --parsable",
        1,
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
    );
    assert_eq!(perform(&site, &intent).await.unwrap_err().kind, StepErrorKind::Unreachable);
    let site = self::site();
    site.error("sbatch --parsable", SiteErrorKind::Timeout);
    assert_eq!(perform(&site, &intent).await.unwrap_err().kind, StepErrorKind::InDoubt);
}

#[tokio::test(flavor = "current_thread")]
async fn never_twice() {
    let found = FakeSite::shared();
    found.answer("squeue -h -t all", TOKEN_JOB);
    let intent = preview(&site(), &with()).await.intent;
    let done = perform(&found, &intent).await.unwrap();
    assert_eq!(done.output["job"], "9");
    assert!(found.lines().iter().all(|call| !call.contains("sbatch")));
}

#[tokio::test(flavor = "current_thread")]
async fn a_script_edited_after_consent_is_not_submitted() {
    let site = site();
    let intent = preview(&site, &with()).await.intent;
    site.file("/home/kim/train.sbatch", "#!/bin/bash\nrm -rf x\n");
    assert_eq!(perform(&site, &intent).await.unwrap_err().kind, StepErrorKind::Drifted);
    assert!(site.lines().iter().all(|call| !call.contains("--parsable")));
}

#[tokio::test(flavor = "current_thread")]
async fn confirming_and_undoing() {
    let intent = preview(&site(), &with()).await.intent;
    let step = Change::new(Submit);
    let found = FakeSite::shared();
    found.answer("scontrol show config", "ClusterName = lab\n");
    found.answer("squeue -h -t all", TOKEN_JOB);
    found.answer(
        "scontrol -o show job 9",
        fixture::job("l", "/x", "x runbook:run/1").replace("JobId=1 ", "JobId=9 "),
    );
    found.answer("scancel 9", "");
    found.answer("squeue -h -j 9", "CANCELLED\u{1f}\n");
    let happened = step.confirm(&found.cx(), &with(), &intent).await.unwrap();
    assert!(matches!(happened, Confirmation::Happened(done) if done.output["job"] == "9"));
    let undone = step.undo(&found.cx(), &with(), &intent).await.unwrap();
    assert!(matches!(undone, Undone::Restored(_)));
    assert!(found.lines().contains(&"scancel 9".to_owned()));

    let nowhere = FakeSite::shared();
    nowhere.answer("scontrol show config", "ClusterName = lab\n");
    nowhere.answer("squeue -h -t all", "");
    nowhere.answer("sacct -n", "");
    assert_eq!(step.confirm(&nowhere.cx(), &with(), &intent).await.unwrap(), Confirmation::DidNot);
    assert!(matches!(step.undo(&nowhere.cx(), &with(), &intent).await.unwrap(), Undone::NothingToDo(_)));

    let away = FakeSite::shared();
    away.answer("scontrol show config", "ClusterName = lab\n");
    away.fail("squeue", 1, "slurm_load_jobs error: Unable to contact slurm controller (connect failure)");
    assert!(matches!(step.confirm(&away.cx(), &with(), &intent).await.unwrap(), Confirmation::Unknown(_)));
}
