use std::sync::Arc;
use std::time::Duration;

use engine::step::{Read, Step};
use serde_json::{Value, json};

use super::super::probe::{Checkpoint, CheckpointProbe, OomProbe};
use super::*;
use crate::testkit::FakeSite;

/// `step 41/200 | …`
fn step_of(line: &str) -> Option<u64> {
    line.split_once("step ")?.1.split('/').next()?.parse().ok()
}

/// Finds the line in the files; what a report is is another family's business.
struct Oom;

#[async_trait]
impl OomProbe for Oom {
    fn suspects(&self, line: &str) -> bool {
        line.contains("OutOfMemoryError")
    }

    async fn first(
        &self,
        cx: &StepCx,
        logs: &[String],
        _: Option<&str>,
    ) -> Result<Option<String>, StepError> {
        for log in logs {
            let text = String::from_utf8(cx.site.read_all(log, 1 << 20).await?).unwrap();
            if let Some(line) = text.lines().find(|line| self.suspects(line) && line.ends_with('.')) {
                return Ok(Some(line.to_owned()));
            }
        }
        Ok(None)
    }
}

/// A checkpoint is a file `DIR/N`.
struct Files;

#[async_trait]
impl CheckpointProbe for Files {
    async fn newest(&self, cx: &StepCx, dir: &str) -> Result<Option<Checkpoint>, StepError> {
        let steps = cx.site.list(dir).await?.into_iter().filter_map(|entry| entry.name.parse().ok());
        Ok(steps.max().map(|step: u64| Checkpoint { step, path: format!("{dir}/{step}") }))
    }

    fn dir_of(&self, line: &str, _: Option<&str>) -> Option<String> {
        line.strip_prefix("saved to ").map(str::to_owned)
    }
}

const LOG: &str = "/d/slurm-9.out";

/// A job that has this state in one look after the other.
fn site(states: &[&str]) -> Arc<FakeSite> {
    let site = FakeSite::shared();
    for state in states {
        site.answer("squeue -h -j 9", format!("{state}\u{1f}gpu-20\n"));
        let record = crate::slurm::fixture_job("llama", "/d/train.sbatch", "");
        let record = record.replace("slurm-1.out", "slurm-9.out").replace("JobId=1 ", "JobId=9 ");
        site.answer("scontrol -o show job 9", record.replace("=RUNNING", &format!("={state}")));
    }
    site.answer("scontrol show hostnames", "gpu-20\ngpu-21\n");
    site.fail("scontrol write batch_script", 0, "job script retrieval failed: Invalid user id");
    site
}

async fn perform(site: &Arc<FakeSite>, with: Value) -> Result<Performed<Value>, StepError> {
    let probes = super::super::probe::Probes { step_of, oom: Arc::new(Oom), checkpoints: Arc::new(Files) };
    let mut all = json!({ "job": "9", "timeout": "30m" });
    all.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    Read::new(Watch::new(probes)).perform(&site.cx(), &all, &Value::Null).await
}

async fn watch(site: &Arc<FakeSite>, with: Value) -> Done<Value> {
    match perform(site, with).await.unwrap() {
        Performed::Done(done) => done,
        Performed::Ask(question, _) => panic!("it asks: {question:?}"),
    }
}

/// The log grows by a step at each pause, from `first` on; a checkpoint every 5 steps.
fn trains(site: &Arc<FakeSite>, first: u64) {
    let mut step = first;
    site.on_sleep(move |site| {
        let mut log = site.content(LOG).unwrap_or_default();
        log.extend(
            format!("step {step}/200 | max_reserved 60.00GiB | reserved-allocated 3.00GiB\n").into_bytes(),
        );
        site.file(LOG, log);
        if step.is_multiple_of(5) {
            site.file(&format!("/ckpt/{step}"), "x");
        }
        step += 1;
    });
}

#[tokio::test(flavor = "current_thread")]
async fn passes_with_a_step_and_a_checkpoint_that_are_later() {
    let site = site(&["PENDING", "PENDING", "RUNNING"]);
    // The log of the job before, under the same name.
    site.file(LOG, "step 40/200\nstep 41/200\nstep 50/200\n");
    site.file("/ckpt/30", "x");
    trains(&site, 31);
    let with =
        json!({ "past_step": 41, "checkpoint": true, "checkpoint_dir": "/ckpt", "newer_than_step": 30 });
    let done = watch(&site, with).await;
    assert_eq!(done.outcome, "passed");
    assert_eq!(done.output["last_step"], 42);
    assert_eq!(
        (&done.output["checkpoint_step"], &done.output["checkpoint_path"]),
        (&json!(40), &json!("/ckpt/40"))
    );
    assert_eq!(done.output["peak_reserved"], 60u64 << 30);
    assert_eq!(done.output["gap_trend"], "steady");
    assert_eq!(done.output["nodes"], json!(["gpu-20", "gpu-21"]));
    insta::assert_snapshot!(done.summary.join("\n"), @r#"
        job 9 is at step 42, past 41, with a complete checkpoint of step 40
        newest complete checkpoint: step 40, /ckpt/40
        peak reserved 60.0 GiB; the gap to what is allocated is steady
        followed for 95 s
        "#);
}

#[tokio::test(flavor = "current_thread")]
async fn without_a_checkpoint_asked_for_the_step_is_enough() {
    let site = site(&["RUNNING"]);
    trains(&site, 40);
    assert_eq!(watch(&site, json!({ "past_step": 41 })).await.outcome, "passed");
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_passed_by_guess() {
    let site = site(&["RUNNING"]);
    trains(&site, 40);
    let done =
        watch(&site, json!({ "past_step": null, "checkpoint": true, "checkpoint_dir": "/ckpt" })).await;
    assert_eq!(done.outcome, "timeout");
    assert!(done.summary[0].contains("nothing could prove that it passed"), "{:?}", done.summary);
    assert_eq!(done.output["waited_seconds"], 1800);
}

#[tokio::test(flavor = "current_thread")]
async fn without_a_step_a_newer_checkpoint_is_the_proof() {
    let site = site(&["RUNNING"]);
    trains(&site, 31);
    let with = json!({ "past_step": null, "checkpoint_dir": "/ckpt", "newer_than_step": 35 });
    let done = watch(&site, with).await;
    assert_eq!((done.outcome.as_str(), &done.output["checkpoint_step"]), ("passed", &json!(40)));
}

#[tokio::test(flavor = "current_thread")]
async fn a_person_is_asked_where_checkpoints_are_not_known() {
    let site = site(&["RUNNING"]);
    trains(&site, 40);
    let asked = perform(&site, json!({ "past_step": 41, "checkpoint": true })).await.unwrap();
    let Performed::Ask(question, output) = asked else { panic!() };
    assert_eq!(question.choices[0].outcome, "passed");
    assert_eq!(output["last_step"], 42);
}

#[tokio::test(flavor = "current_thread")]
async fn the_same_failure_again_while_the_job_still_hangs() {
    let site = site(&["RUNNING"]);
    site.file(LOG, "");
    let mut looks = 0;
    site.on_sleep(move |site| {
        looks += 1;
        let text = match looks {
            1 => "step 41/200\n",
            // The report comes in two pieces.
            2 => "torch.OutOfMemoryError: CUDA out of\n",
            3 => "torch.OutOfMemoryError: CUDA out of memory.\n",
            _ => "",
        };
        site.file(LOG, [site.content(LOG).unwrap(), text.into()].concat());
    });
    let done = watch(&site, json!({ "past_step": 41 })).await;
    assert_eq!((done.outcome.as_str(), &done.output["state"]), ("oom", &json!("RUNNING")));
    assert_eq!(done.output["oom"], "torch.OutOfMemoryError: CUDA out of memory.");
}

#[tokio::test(flavor = "current_thread")]
async fn an_end_is_passed_oom_or_failed() {
    for (log, state, outcome) in [
        ("step 41/200\n", "FAILED", "failed"),
        ("step 41/200\n", "COMPLETED", "failed"),
        ("step 42/200\n", "COMPLETED", "passed"),
        ("step 41/200\ntorch.OutOfMemoryError: CUDA out of memory.\n", "COMPLETED", "oom"),
        ("", "CANCELLED", "failed"),
    ] {
        let site = site(&[state]);
        site.file(LOG, log);
        let done = watch(&site, json!({ "past_step": 41 })).await;
        assert_eq!(done.outcome, outcome, "{log:?} {state}");
        assert_eq!(done.output["state"], state);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_job_that_nobody_knows_has_not_failed() {
    let site = FakeSite::shared();
    site.fail("squeue", 1, "slurm_load_jobs error: Invalid job id specified");
    site.fail("scontrol", 1, "slurm_load_jobs error: Invalid job id specified");
    site.answer("sacct --helpformat", "SubmitLine");
    site.answer("sacct -n", "");
    let error = perform(&site, json!({ "past_step": 41 })).await.unwrap_err();
    assert_eq!(error.message, "Slurm does not know job 9");
}

/// The new job dies before its ranks open their logs; the report in them is the old job's.
#[tokio::test(flavor = "current_thread")]
async fn an_earlier_jobs_report_is_not_this_ones() {
    let site = site(&["PENDING", "PENDING", "FAILED"]);
    site.file(LOG, "step 41/200\ntorch.OutOfMemoryError: CUDA out of memory.\n");
    let done = watch(&site, json!({ "past_step": 41 })).await;
    assert_eq!((done.outcome.as_str(), &done.output["last_step"]), ("failed", &Value::Null));
}

#[tokio::test(flavor = "current_thread")]
async fn stalled_and_pending() {
    let stalled = site(&["RUNNING"]);
    stalled.file(LOG, "step 40/200\n");
    let done = watch(&stalled, json!({ "past_step": 41, "stall": "5m" })).await;
    assert_eq!(done.outcome, "stalled");
    assert_eq!(stalled.slept(), Duration::from_secs(305));
    // Looked at an hour later, it need not be watched to be known to hang.
    stalled.advance(Duration::from_secs(3600));
    let done = watch(&stalled, json!({ "past_step": 41, "stall": "5m" })).await;
    assert_eq!((done.outcome.as_str(), &done.output["waited_seconds"]), ("stalled", &json!(0)));
    let pending = site(&["PENDING"]);
    let done = watch(&pending, json!({ "past_step": 41, "timeout": "10m" })).await;
    assert_eq!((done.outcome.as_str(), &done.output["last_step"]), ("pending", &Value::Null));
    // Polite: 1, 2, 4, 8 and then 10 s apart.
    assert!(pending.lines().iter().filter(|call| call.starts_with("squeue")).count() < 66);
}

#[tokio::test(flavor = "current_thread")]
async fn the_environment_of_the_ranks_is_looked_at_once() {
    let site = site(&["RUNNING"]);
    trains(&site, 40);
    site.answer("ssh gpu-20 scontrol listpids 9", "PID JOBID STEPID LOCALID GLOBALID\n412 9 0 0 0\n");
    site.answer(
        "ssh gpu-20 grep -z -a -e '^RANK=' -e '^SLURM_PROCID=' -e '^PYTORCH_ALLOC_CONF=' /proc/412/environ",
        "RANK=0\0PYTORCH_ALLOC_CONF=x\0",
    );
    let with = json!({ "past_step": 41, "expect_env": { "PYTORCH_ALLOC_CONF": "expandable_segments:True" } });
    let done = watch(&site, with.clone()).await;
    assert_eq!((done.outcome.as_str(), &done.output["env_confirmed"]), ("unapplied", &json!(false)));
    assert!(done.summary[0].contains("without PYTORCH_ALLOC_CONF as it should be"), "{:?}", done.summary);
    assert_eq!(site.lines().iter().filter(|call| call.contains("listpids")).count(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_not_certain_of_a_file_does_not_end_the_watch() {
    let site = site(&["RUNNING"]);
    trains(&site, 40);
    site.answer("ssh gpu-20 scontrol listpids 9", "PID JOBID STEPID LOCALID GLOBALID\n");
    site.answer("ssh gpu-20 readlink -f -- /d/ds.json", "/d/ds.json\n");
    let done = watch(&site, json!({ "past_step": 41, "expect_files": { "/d/ds.json": "ab" } })).await;
    assert_eq!((done.outcome.as_str(), &done.output["files_confirmed"]), ("passed", &Value::Null));
    let line = "whether its ranks read the configuration files is not certain: /d/ds.json: no process of the job that could be read \
                names it";
    assert!(done.summary.iter().any(|found| found == line), "{:?}", done.summary);
}

#[tokio::test(flavor = "current_thread")]
async fn a_lever_that_nobody_can_see_is_unknown_and_asked_for_thrice() {
    let site = site(&["RUNNING"]);
    trains(&site, 30);
    site.error("ssh gpu-20", engine::site::SiteErrorKind::Unreachable);
    let done = watch(&site, json!({ "past_step": 41, "expect_env": { "A": "1" } })).await;
    assert_eq!((done.outcome.as_str(), &done.output["env_confirmed"]), ("passed", &Value::Null));
    assert_eq!(site.lines().iter().filter(|call| call.contains("listpids")).count(), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn the_jobs_own_log_tells_where_its_checkpoints_are() {
    let site = site(&["RUNNING"]);
    site.file(LOG, "saved to /ckpt\n");
    trains(&site, 40);
    let done = watch(&site, json!({ "past_step": 41, "checkpoint": true, "newer_than_step": 40 })).await;
    assert_eq!((done.outcome.as_str(), &done.output["checkpoint_step"]), ("passed", &json!(45)));
}

#[tokio::test(flavor = "current_thread")]
async fn a_job_whose_steps_cannot_be_read_is_not_stalled_while_it_writes() {
    let site = site(&["RUNNING"]);
    let mut line = 0;
    site.on_sleep(move |site| {
        line += 1;
        let more = if line < 100 { format!("{{'loss': {line}}}\n") } else { String::new() };
        site.file(LOG, [site.content(LOG).unwrap_or_default(), more.into()].concat());
    });
    let done = watch(&site, json!({ "past_step": 41, "stall": "5m", "timeout": "1h" })).await;
    assert_eq!((done.outcome.as_str(), &done.output["last_step"]), ("stalled", &Value::Null));
    assert!(done.output["waited_seconds"].as_u64() > Some(1200), "{:?}", done.output);
}

#[tokio::test(flavor = "current_thread")]
async fn colours_and_bars_are_read() {
    let site = site(&["RUNNING"]);
    site.file(LOG, "\u{1b}[31mstep 40/200  \u{1b}[32mloss: 7\u{1b}[0m\n");
    let mut step = 40;
    site.on_sleep(move |site| {
        step += 1;
        let line = format!("\u{1b}[31mstep {step}/200  \u{1b}[32mloss: 7\u{1b}[0m\n");
        site.file(LOG, [site.content(LOG).unwrap(), line.into()].concat());
    });
    assert_eq!(watch(&site, json!({ "past_step": 41 })).await.outcome, "passed");
}

#[tokio::test(flavor = "current_thread")]
async fn stops_when_the_person_wants_to() {
    let site = site(&["RUNNING"]);
    site.file(LOG, "step 1/200\n");
    let cx = site.cx();
    cx.cancel.cancel();
    let probes = super::super::probe::Probes { step_of, oom: Arc::new(Oom), checkpoints: Arc::new(Files) };
    let step = Read::new(Watch::new(probes));
    let error = step.perform(&cx, &json!({ "job": 9, "past_step": 41 }), &Value::Null).await.unwrap_err();
    assert!(error.message.contains("it goes on"), "{error}");
}
