use std::sync::Arc;

use engine::site::SiteErrorKind;

use super::*;
use crate::checkpoint::choose::Outcome;
use crate::checkpoint::seal::tests::{archive, weights};
use crate::testkit::FakeSite;
use crate::testkit::told::{Told, told};

fn state(step: u64) -> String {
    format!("{{\n  \"epoch\": 1.0,\n  \"global_step\": {step},\n  \"log_history\": []\n}}\n")
}

fn hf(fake: Arc<FakeSite>, step: u64, age: i64) -> Arc<FakeSite> {
    let dir = format!("/out/checkpoint-{step}");
    fake.aged(&format!("{dir}/model.safetensors"), weights(), age)
        .aged(&format!("{dir}/optimizer.pt"), archive(), age)
        .aged(&format!("{dir}/trainer_state.json"), state(step), age)
}

async fn look(fake: Arc<FakeSite>) -> (Outcome, Survey) {
    let survey = latest(&*fake, "/out/").await.unwrap();
    (survey.outcome(None), survey)
}

fn list(survey: &Survey) -> String {
    let line = |c: &Candidate| format!("{:?} {:?} {}", c.step, c.complete, c.why);
    let pick = survey
        .resume_pick
        .as_ref()
        .map_or("nothing".to_owned(), |p| format!("{:?} {:?}", p.path, p.complete));
    survey
        .candidates
        .iter()
        .map(line)
        .chain([format!("resumes from {pick}")])
        .chain(survey.reasons.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn trainer_resumes_from_the_highest_number_even_if_it_is_torn() {
    let fake =
        hf(hf(told(), 100, 900), 90, 600).aged("/out/checkpoint-1000/model.safetensors", weights(), 60);
    let (outcome, survey) =
        look(fake.aged("/out/tmp-checkpoint-1100/x", "", 1).aged("/out/runs/a", "", 1)).await;
    assert_eq!(outcome, Outcome::Torn);
    assert_eq!(survey.newest(None).unwrap().path, "/out/checkpoint-100");
    insta::assert_snapshot!(list(&survey), @r#"
    Some(1100) Some(false) marked as unfinished
    Some(1000) Some(false) no trainer_state.json, which is written last
    Some(100) Some(true) trainer_state.json and weights are there
    Some(90) Some(true) trainer_state.json and weights are there
    resumes from Some("/out/checkpoint-1000") Some(false)
    "#);
}

#[tokio::test]
async fn a_marker_does_not_hide_a_cut_file() {
    let fake =
        hf(hf(told(), 100, 900), 200, 600).aged("/out/checkpoint-200/optimizer.pt", &archive()[..1000], 600);
    let (outcome, survey) = look(fake).await;
    assert_eq!(outcome, Outcome::Torn);
    assert_eq!(survey.candidates[0].why, "the end of optimizer.pt is missing");
    assert_eq!(survey.newest(None).unwrap().step, Some(100));
}

fn megatron(fake: Arc<FakeSite>, step: u64) -> Arc<FakeSite> {
    let dir = format!("/out/iter_{step:07}");
    fake.aged(&format!("{dir}/__0_0.distcp"), "x", 60)
        .aged(&format!("{dir}/common.pt"), archive(), 60)
        .aged(&format!("{dir}/.metadata"), "x", 60)
        .aged(&format!("{dir}/metadata.json"), "{}", 60)
}

#[tokio::test]
async fn megatron_follows_its_tracker() {
    let tracker = format!("/out/{TRACKER}");
    let dirs = || megatron(megatron(told(), 40), 80).aged("/out/iter_0000120/__0_0.distcp", "x", 1);
    let (outcome, survey) = look(dirs().aged(&tracker, "40\n", 60)).await;
    assert_eq!((outcome, survey.newest(None).unwrap().step), (Outcome::Found, Some(40)));
    insta::assert_snapshot!(list(&survey), @r#"
    Some(120) Some(false) it has no .metadata
    Some(80) Some(false) newer than latest_checkpointed_iteration.txt, which says 40: not committed
    Some(40) Some(true) metadata.json, which is written last, is there
    resumes from Some("/out/iter_0000040") Some(true)
    "#);
    assert_eq!(look(dirs().aged(&tracker, "120", 60)).await.0, Outcome::Torn);
    let (outcome, survey) = look(dirs().aged(&tracker, "", 60)).await;
    assert_eq!(
        (outcome, survey.reasons[0].as_str()),
        (Outcome::Torn, "latest_checkpointed_iteration.txt says \"\": the framework cannot resume")
    );
    assert_eq!(
        look(dirs().aged(&tracker, "999", 60)).await.1.reasons[0],
        "latest_checkpointed_iteration.txt names iter_0000999, which is not there"
    );
    let (outcome, survey) = look(dirs()).await;
    assert_eq!(
        (outcome, survey.resume_pick.clone(), survey.newest(None).unwrap().step),
        (Outcome::Found, None, Some(80))
    );
}

#[tokio::test]
async fn deepspeed_follows_latest() {
    let tag = |fake: Arc<FakeSite>, step: u64, ranks: u32| {
        let dir = format!("/out/global_step{step}");
        (0..ranks).fold(
            fake.aged(&format!("{dir}/mp_rank_00_model_states.pt"), archive(), 60),
            |fake, rank| {
                fake.aged(&format!("{dir}/zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"), archive(), 60)
            },
        )
    };
    let two = |ranks| tag(tag(told(), 100, 4), 200, ranks);
    let (outcome, survey) = look(two(4).aged("/out/latest", "global_step200", 1)).await;
    assert_eq!((outcome, survey.newest(None).unwrap().step), (Outcome::Found, Some(200)));
    let (outcome, survey) = look(two(3).aged("/out/latest", "global_step200", 1)).await;
    assert_eq!((outcome, survey.newest(None).unwrap().step), (Outcome::Unknown, Some(100)));
    assert_eq!(survey.candidates[0].why, "3 files of optimizer states, another checkpoint has 4");
    assert_eq!(look(two(4).aged("/out/latest", "global_step300", 1)).await.0, Outcome::Torn);
}

#[tokio::test]
async fn torchtitan_ignores_what_has_no_marker() {
    let fake = told()
        .aged("/out/checkpoint/step-10/.metadata", "x", 60)
        .aged("/out/checkpoint/step-10/__0_0.distcp", "x", 60)
        .aged("/out/checkpoint/step-20/__0_0.distcp", "x", 60);
    let (outcome, survey) = look(fake).await;
    assert_eq!(
        (outcome, survey.dir.as_str(), survey.layout),
        (Outcome::Found, "/out/checkpoint", Some(Layout::Torchtitan))
    );
    assert_eq!(survey.resume_pick.unwrap().step, Some(10));
}

#[tokio::test]
async fn lightning_and_its_requeue_checkpoint() {
    let fake = told()
        .aged("/out/lightning_logs/version_0/checkpoints/epoch=0-step=5.ckpt", archive(), 900)
        .aged("/out/lightning_logs/version_3/checkpoints/epoch=0-step=9.ckpt", archive(), 90)
        .aged("/out/lightning_logs/version_3/checkpoints/epoch=1-step=18.ckpt", &archive()[..99], 9)
        .aged("/out/lightning_logs/version_3/checkpoints/hpc_ckpt_2.ckpt", archive(), 5);
    let (outcome, survey) = look(fake).await;
    assert_eq!((outcome, survey.newest(None).unwrap().step), (Outcome::Found, Some(9)));
    assert!(survey.resume_pick.unwrap().path.unwrap().ends_with("version_3/checkpoints/hpc_ckpt_2.ckpt"));
}

#[tokio::test]
async fn nemo_marks_what_is_not_finished() {
    let part = |fake: Arc<FakeSite>, step: u64, last: &str| {
        fake.aged(&format!("/out/m-step={step}-consumed_samples=8.0{last}/weights/.metadata"), "x", 60)
    };
    let fake = part(part(told(), 10, ""), 20, "-last").aged(
        "/out/m-step=20-consumed_samples=8.0-last-unfinished",
        "",
        1,
    );
    let (outcome, survey) = look(fake).await;
    assert_eq!(
        (outcome, survey.layout, survey.newest(None).unwrap().step),
        (Outcome::Found, Some(Layout::Nemo), Some(10))
    );
    assert_eq!(survey.resume_pick, None);
}

#[tokio::test]
async fn plain_files_and_one_distributed_checkpoint() {
    let fake = told().aged("/out/model_step_100.pt", archive(), 60).aged(
        "/out/model_step_200.pt",
        "\u{80}old pickle",
        6,
    );
    let (outcome, survey) = look(fake).await;
    assert_eq!(
        (outcome, survey.newest(None).unwrap().step, survey.candidates[0].complete),
        (Outcome::Found, Some(100), None)
    );
    let (outcome, survey) = look(told().aged("/out/__0_0.distcp", "x", 60)).await;
    assert_eq!((outcome, survey.layout), (Outcome::None, Some(Layout::TorchDcp)));
}

#[tokio::test]
async fn nothing_there_nothing_known_and_nothing_readable_differ() {
    assert_eq!(look(told().aged("/out/train.log", "x", 1)).await.0, Outcome::None);
    let (outcome, survey) = look(told().aged("/out/epoch_3/model", "x", 1)).await;
    assert_eq!(
        (outcome, survey.reasons[0].as_str()),
        (Outcome::Unknown, "laid out like nothing known: epoch_3")
    );
    assert_eq!(look(told()).await.0, Outcome::Unknown);
    assert_eq!(look(hf(told(), 1, 1).faulty("/out", SiteErrorKind::Denied)).await.0, Outcome::Unknown);
    let (outcome, survey) = look(hf(told(), 1, 1).faulty("/out/checkpoint-1", SiteErrorKind::Denied)).await;
    assert_eq!((outcome, survey.candidates[0].complete), (Outcome::Unknown, None));
}

#[tokio::test]
async fn a_file_system_that_does_not_answer_is_an_error() {
    let error = latest(&*told().faulty("/out", SiteErrorKind::Timeout), "/out").await.unwrap_err();
    assert_eq!(error.kind, engine::step::StepErrorKind::Timeout);
}

#[tokio::test]
async fn what_may_not_be_read_is_neither_torn_nor_complete() {
    let fake = hf(hf(told(), 100, 9), 200, 1)
        .faulty("/out/checkpoint-200/trainer_state.json", SiteErrorKind::Denied);
    let (outcome, survey) = look(fake).await;
    assert_eq!((outcome, survey.candidates[0].complete), (Outcome::Unknown, None));
    assert_eq!(survey.newest(None).unwrap().step, Some(100));
    let fake = megatron(told(), 40).aged(&format!("/out/{TRACKER}"), "40", 1);
    let (_, survey) = look(fake.faulty(&format!("/out/{TRACKER}"), SiteErrorKind::Denied)).await;
    assert_eq!(survey.resume_pick.unwrap().complete, None);
}

#[tokio::test]
async fn a_lone_file_does_not_hide_the_directory_of_checkpoints() {
    let fake = told()
        .aged("/out/training_state_last.pt", archive(), 1)
        .aged("/out/release/notes", "x", 1)
        .aged("/out/checkpoints/epoch=0-step=5.ckpt", archive(), 900);
    let (_, survey) = look(fake).await;
    assert_eq!((survey.dir.as_str(), survey.newest(None).unwrap().step), ("/out/checkpoints", Some(5)));
}
