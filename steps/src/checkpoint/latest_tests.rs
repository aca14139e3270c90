use std::sync::Arc;

use engine::site::SiteErrorKind;
use engine::step::{Read, Step};
use serde_json::{Value, json};

use super::*;
use crate::checkpoint::seal::tests::weights;
use crate::testkit::FakeSite;
use crate::testkit::told::{Told, told};

fn checkpoints(dir: &str) -> Arc<FakeSite> {
    [(400, 7200), (500, 600)].iter().fold(told(), |fake, (step, age)| {
        let path = format!("{dir}/checkpoint-{step}");
        fake.aged(&format!("{path}/model.safetensors"), weights(), *age)
            .aged(&format!("{path}/optimizer.bin"), "x".repeat(3 << 20), *age)
            .aged(
                &format!("{path}/trainer_state.json"),
                format!("{{\"global_step\": {step}, \"log_history\": []}}"),
                *age,
            )
    })
}

async fn ask(fake: Arc<FakeSite>, params: Value) -> (String, Value, Vec<String>) {
    let cx = fake.cx();
    match Read::new(Latest).perform(&cx, &params, &Value::Null).await.unwrap() {
        Performed::Done(done) => (done.outcome, done.output, done.summary),
        Performed::Ask(..) => panic!("a read asks nothing"),
    }
}

#[tokio::test]
async fn the_newest_complete_one_with_its_age_and_the_loss() {
    let (outcome, output, summary) =
        ask(checkpoints("/out"), json!({"dir": "/out", "error_step": 537})).await;
    assert_eq!(outcome, "found");
    assert_eq!(
        (&output["step"], &output["lost_steps"], &output["age_seconds"]),
        (&json!(500), &json!(37), &json!(600))
    );
    assert_eq!(
        (&output["layout"], &output["torn"], &output["complete"]),
        (&json!("hf_trainer"), &json!(false), &json!(true))
    );
    assert_eq!(summary, ["newest complete: step 500, 3 MiB, 10 min old, 37 steps lost: /out/checkpoint-500"]);
}

#[tokio::test]
async fn a_torn_one_is_named_with_the_one_to_take_instead() {
    let fake = checkpoints("/out").aged("/out/checkpoint-600/model.safetensors", weights(), 5);
    let (outcome, output, summary) = ask(fake, json!({"dir": "/out", "error_step": 610})).await;
    assert_eq!((outcome.as_str(), &output["torn"], &output["step"]), ("torn", &json!(true), &json!(500)));
    assert_eq!(output["resume_pick"], json!({"path": "/out/checkpoint-600", "step": 600, "complete": false}));
    insta::assert_snapshot!(summary.join("\n"), @r"
    the framework would resume from an incomplete checkpoint: /out/checkpoint-600 (no trainer_state.json, which is written last)
    newest complete: step 500, 3 MiB, 10 min old, 110 steps lost: /out/checkpoint-500
    ");
}

#[tokio::test]
async fn a_doubtful_one_is_named_with_the_one_that_is_sure() {
    let fake = checkpoints("/out").aged("/out/checkpoint-600/trainer_state.json", "x", 5);
    let (outcome, output, summary) = ask(
        fake.faulty("/out/checkpoint-600/trainer_state.json", SiteErrorKind::Denied),
        json!({"dir": "/out"}),
    )
    .await;
    assert_eq!((outcome.as_str(), &output["torn"], &output["step"]), ("unknown", &Value::Null, &json!(500)));
    insta::assert_snapshot!(summary.join("\n"), @r"
    cannot tell whether what the framework would resume from is complete: /out/checkpoint-600 (/out/checkpoint-600/trainer_state.json: Denied)
    newest complete: step 500, 3 MiB, 10 min old: /out/checkpoint-500
    ");
}

#[tokio::test]
async fn only_steps_below_before_step_are_taken() {
    let (_, output, _) =
        ask(checkpoints("/out"), json!({"dir": "/out/checkpoint-500/", "before_step": 500})).await;
    assert_eq!((&output["dir"], &output["step"]), (&json!("/out"), &json!(400)));
    let (outcome, ..) = ask(checkpoints("/out"), json!({"dir": "/out", "before_step": 10})).await;
    assert_eq!(outcome, "none");
}

#[tokio::test]
async fn the_directory_is_found_through_the_script_or_the_log() {
    let script = "#!/bin/bash\nOUT=runs/a\nsrun python train.py --output_dir $OUT\n";
    let (outcome, output, _) =
        ask(checkpoints("/home/ann/runs/a"), json!({"dir": null, "script": script, "workdir": "/home/ann"}))
            .await;
    assert_eq!((outcome.as_str(), &output["dir"]), ("found", &json!("/home/ann/runs/a")));
    assert_eq!(output["reasons"], json!(["the directory was found through --output_dir"]));
    let fake = checkpoints("/out")
        .aged("/logs/1.out", "Saving model checkpoint to /out/checkpoint-500\n", 1)
        .aged("/home/ann/job.sh", script, 1);
    let (outcome, output, _) =
        ask(fake, json!({"dir": null, "script": "/home/ann/job.sh", "logs": ["/logs/1.out", "/logs/none"]}))
            .await;
    assert_eq!((outcome.as_str(), &output["path"]), ("found", &json!("/out/checkpoint-500")));
    assert_eq!(output["reasons"][0], "not read: /logs/none: is not there");
    assert_eq!(
        output["reasons"][1],
        "runs/a (--output_dir): relative, and the working directory is not known"
    );
}

#[tokio::test]
async fn two_places_are_not_guessed_between() {
    let fake = checkpoints("/out").aged("/two/checkpoint-7/model.safetensors", weights(), 1);
    let log =
        "Saving model checkpoint to /out/checkpoint-500\nSaving model checkpoint to /two/checkpoint-7\n";
    let (outcome, output, summary) =
        ask(fake.aged("/log", log, 1), json!({"dir": null, "logs": ["/log"]})).await;
    assert_eq!((outcome.as_str(), &output["path"]), ("unknown", &Value::Null));
    assert_eq!(
        summary,
        [
            "checkpoints unknown: checkpoints lie in more than one place: /two (the log), /out (the log); give `dir`"
        ]
    );
}

#[tokio::test]
async fn unknown_without_any_word_of_a_directory() {
    let (outcome, output, summary) = ask(told(), json!({"dir": null})).await;
    assert_eq!(
        (outcome.as_str(), &output["dir"], &output["lost_steps"]),
        ("unknown", &Value::Null, &Value::Null)
    );
    assert_eq!(summary, ["checkpoints unknown: the directory of the checkpoints is not known"]);
}

#[tokio::test]
async fn hostile_names_reach_the_summary_clean() {
    let fake = told().aged("/out/\u{1b}[31mckpt_x/y", "", 1);
    let (_, _, summary) = ask(fake, json!({"dir": "/out"})).await;
    assert_eq!(summary, ["checkpoints unknown: laid out like nothing known: ckpt_x"]);
}

#[tokio::test]
async fn the_loss_counts_from_what_the_framework_would_take() {
    let script =
        "#!/bin/bash\npython train.py --output_dir /out --resume_from_checkpoint /out/checkpoint-400\n";
    let with = json!({
        "dir": null, "script": script, "error_step": 537, "gpus": 16,
        "started": "2026-03-05T11:00:00Z", "failed_at": "2026-03-05T11:30:00Z",
    });
    // Step 400 is two hours old, the job one: it lost what it computed itself.
    let (outcome, output, summary) = ask(checkpoints("/out"), with).await;
    assert_eq!((outcome.as_str(), &output["step"]), ("found", &json!(500)));
    assert_eq!(
        (&output["lost_steps"], &output["lost_gpu_hours"], &output["other_world_size"]),
        (&json!(137), &json!(8.0), &json!(true))
    );
    assert_eq!(output["resume_pick"]["step"], 400);
    let reasons = output["reasons"].as_array().unwrap();
    assert_eq!(
        reasons[reasons.len() - 1],
        "the script names what to resume from: /out/checkpoint-400 (--resume_from_checkpoint)"
    );
    insta::assert_snapshot!(summary.join("\n"), @r"
    newest complete: step 500, 3 MiB, 10 min old: /out/checkpoint-500
    the framework would go on from step 400 all the same, 137 steps and 8.0 GPU-hours lost: /out/checkpoint-400
    ");
    // A time without an offset is read by the clock of the host on which it died, and that is said.
    let with = json!({ "dir": "/out", "gpus": 16, "failed_at": "2026-03-05T12:55:00", "host": "gpu-21" });
    let clock =
        || checkpoints("/out").ran("ssh gpu-21 date -d 2026-03-05T12:55:00 +%s", 0, "1772711700\n", "");
    let (_, output, summary) = ask(clock(), with.clone()).await;
    assert_eq!((&output["lost_gpu_hours"], &output["assumed_offset"]), (&json!(1.33), &json!("+01")));
    assert_eq!(
        summary,
        [
            "newest complete: step 500, 3 MiB, 10 min old, 1.3 GPU-hours (if its log's clock is UTC+01) lost: /out/checkpoint-500"
        ]
    );
    let deaf =
        checkpoints("/out").broke("ssh gpu-21 date -d 2026-03-05T12:55:00 +%s", SiteErrorKind::Unreachable);
    let (_, output, _) = ask(deaf, with).await;
    assert_eq!((&output["lost_gpu_hours"], &output["assumed_offset"]), (&Value::Null, &Value::Null));
    assert!(output["reasons"].to_string().contains("the clock of gpu-21 could not be asked"), "{output}");
}

#[tokio::test]
async fn one_that_is_being_written_is_told_from_one_that_was_left_half_done() {
    let half = || checkpoints("/out").aged("/out/checkpoint-600/model.safetensors", weights(), 5);
    let (_, output, _) = ask(half(), json!({ "dir": "/out" })).await;
    assert_eq!(output["candidates"][0]["writing"], false);
    let grows = half();
    grows.on_sleep(|site| site.file("/out/checkpoint-600/optimizer.bin", "x"));
    let (outcome, output, _) = ask(grows.clone(), json!({ "dir": "/out" })).await;
    assert_eq!((outcome.as_str(), &output["candidates"][0]["writing"]), ("torn", &json!(true)));
    assert_eq!(
        output["reasons"][0],
        "a checkpoint is being written now, that of step 600: wait for it before the job is stopped"
    );
    assert_eq!(grows.slept().as_secs(), 5);
    // An old one is not waited for, and a complete one is not doubted.
    let old = checkpoints("/out").aged("/out/checkpoint-600/model.safetensors", weights(), 5000);
    let (_, output, _) = ask(old.clone(), json!({ "dir": "/out" })).await;
    assert_eq!((&output["candidates"][0]["writing"], old.slept().as_secs()), (&Value::Null, 0));
}

#[tokio::test]
async fn a_newest_one_that_shrank_is_pointed_out() {
    let fake = checkpoints("/out").aged("/out/checkpoint-500/optimizer.bin", "x", 600);
    let (outcome, output, _) = ask(fake, json!({ "dir": "/out" })).await;
    assert_eq!(outcome, "found");
    assert_eq!(
        output["reasons"],
        json!(["step 500 is complete by its markers, but smaller than step 400: 119 bytes and 3 MiB"])
    );
}
