use std::sync::Arc;

use engine::step::{AnyPreview, Change, Step};
use serde_json::{Value, json};

use super::*;
use crate::checkpoint::seal::tests::weights;
use crate::site::LiveSite;
use crate::testkit::FakeSite;
use crate::testkit::told::{Told, told};

const STATE: &str = "{\"global_step\": 500, \"log_history\": []}";

fn checkpoint(fake: Arc<FakeSite>, dir: &str) -> Arc<FakeSite> {
    fake.aged(&format!("{dir}/model.safetensors"), weights(), 60)
        .aged(&format!("{dir}/optimizer.bin"), "x".repeat(3 << 20), 60)
        .aged(&format!("{dir}/trainer_state.json"), STATE, 60)
}

fn site() -> Arc<FakeSite> {
    checkpoint(told(), "/out/checkpoint-500")
        .ran("stat -L -c %d -- /out/checkpoint-500 /", 0, "42\n42\n", "")
        .ran("df -B1 --output=avail -- /", 0, "Avail\n999999999\n", "")
}

async fn preview(site: &Arc<FakeSite>, with: Value) -> AnyPreview {
    Change::new(Pin).preview(&site.cx(), &with).await.unwrap()
}

fn with() -> Value {
    json!({ "path": "/out/checkpoint-500/" })
}

#[tokio::test]
async fn the_gate_shows_links_beside_the_checkpoints_and_how_to_take_them_back() {
    let site = site();
    let shown = preview(&site, with()).await;
    let undo = shown.undo.clone().unwrap();
    let lines = [std::slice::from_ref(&shown.target), &shown.commands, &shown.notes, &[undo]].concat();
    insta::assert_snapshot!(lines.join("\n"), @r"
    /out/checkpoint-500
    cp -rLpl -- /out/checkpoint-500 /out.pinned/.checkpoint-500.half
    mv -T -- /out.pinned/.checkpoint-500.half /out.pinned/checkpoint-500
    hard links of 3 files with 3 MiB: they take no room
    a program that writes into these very files again would change both; `copy: true` guards against that
    /out.pinned/.checkpoint-500.by is written first: it says who made it
    rm -rf -- /out.pinned/.checkpoint-500.half /out.pinned/checkpoint-500 (only while the checkpoint itself is still there)
    ");
    assert_eq!(shown, preview(&site, with()).await, "consent binds to it, so it must not waver");
    assert!(site.files_untouched());
    let copy = preview(&site, json!({ "path": "/out/checkpoint-500", "copy": true, "to": "/keep" })).await;
    assert_eq!(copy.commands[0], "cp -rLp --reflink=auto -- /out/checkpoint-500 /keep/.checkpoint-500.half");
}

#[tokio::test]
async fn what_is_not_complete_or_has_no_room_is_not_pinned() {
    let reason = async |site: Arc<FakeSite>, with: Value| {
        let done = preview(&site, with).await.nothing_to_do.expect("an end");
        (done.outcome, done.output["reason"].as_str().unwrap_or_default().to_owned())
    };
    let cannot = |why: &str| ("cannot".to_owned(), why.to_owned());
    site().gone("/none");
    let torn = site();
    torn.gone("/out/checkpoint-500/trainer_state.json");
    assert_eq!(
        reason(torn, with()).await,
        cannot("it is not complete: no trainer_state.json, which is written last")
    );
    let full = site().ran("df -B1 --output=avail -- /", 0, "Avail\n1024\n", "");
    let copy = json!({ "path": "/out/checkpoint-500", "copy": true });
    assert_eq!(reason(full, copy).await, cannot("1 KiB are free there, and it has 3 MiB"));
    let far = site().ran("stat -L -c %d -- /out/checkpoint-500 /", 0, "42\n43\n", "");
    assert!(reason(far, with()).await.1.contains("another file system"));
    let other = json!({ "path": "/out/checkpoint-700" });
    assert_eq!(reason(site(), other).await, cannot("it is not among the newest checkpoints that lie there"));
    let error = Change::new(Pin).preview(&site().cx(), &json!({ "path": "/out/../etc" })).await.unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Params);
}

#[tokio::test]
async fn a_file_without_a_number_is_copied_for_it_is_written_again() {
    let archive = crate::checkpoint::seal::tests::archive();
    let site = told()
        .aged("/pl/last.ckpt", archive, 60)
        .ran("stat -L -c %d -- /pl/last.ckpt /", 0, "42\n42\n", "")
        .ran("df -B1 --output=avail -- /", 0, "Avail\n999999999\n", "");
    let shown = preview(&site, json!({ "path": "/pl/last.ckpt" })).await;
    assert_eq!(shown.commands[0], "cp -rLp --reflink=auto -- /pl/last.ckpt /pl.pinned/.last.ckpt.half");
}

#[tokio::test]
async fn whether_it_happened_is_seen_from_the_files() {
    let intent = preview(&site(), with()).await.intent;
    let confirm =
        async |site: Arc<FakeSite>| Change::new(Pin).confirm(&site.cx(), &with(), &intent).await.unwrap();
    assert_eq!(confirm(site()).await, Confirmation::DidNot);
    let made = checkpoint(site(), "/out.pinned/checkpoint-500");
    assert!(matches!(confirm(made.clone()).await, Confirmation::Happened(_)));
    made.file("/out.pinned/checkpoint-500/optimizer.bin", "half");
    assert!(matches!(confirm(made).await, Confirmation::Unknown(_)));
}

#[tokio::test]
async fn nothing_is_done_to_a_checkpoint_that_changed_since_it_was_shown() {
    let intent = preview(&site(), with()).await.intent;
    let changed = site();
    changed.file("/out/checkpoint-500/optimizer.bin", "longer or shorter");
    let error = Change::new(Pin).perform(&changed.cx(), &with(), &intent).await.unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Drifted);
    assert!(changed.files_untouched());
}

#[tokio::test]
async fn undo_keeps_the_last_copy_and_what_others_made() {
    let intent = preview(&site(), with()).await.intent;
    let undo =
        async |site: &Arc<FakeSite>| Change::new(Pin).undo(&site.cx(), &with(), &intent).await.unwrap();
    let others = checkpoint(site(), "/out.pinned/checkpoint-500");
    assert!(matches!(undo(&others).await, Undone::NothingToDo(_)));
    others.file("/out.pinned/.checkpoint-500.by", "another/run");
    assert!(matches!(undo(&others).await, Undone::NothingToDo(_)));
    let last =
        checkpoint(told(), "/out.pinned/checkpoint-500").aged("/out.pinned/.checkpoint-500.by", "run/1", 1);
    assert!(matches!(undo(&last).await, Undone::Cannot(_)));
    assert!(others.lines().iter().chain(&last.lines()).all(|line| !line.starts_with("rm")));
}

/// With the real programs on a real file system.
#[tokio::test]
async fn a_pinned_checkpoint_outlives_rotation() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    std::fs::create_dir_all(at("out/checkpoint-500/rng")).unwrap();
    std::fs::write(at("out/checkpoint-500/model.safetensors"), weights()).unwrap();
    std::fs::write(at("out/checkpoint-500/rng/0"), "r").unwrap();
    std::fs::write(at("out/checkpoint-500/trainer_state.json"), STATE).unwrap();
    let cx = StepCx::new(Arc::new(LiveSite::default()), "run/1");
    for copy in [false, true] {
        let with = json!({ "path": at("out/checkpoint-500"), "copy": copy });
        let step = Change::new(Pin);
        let intent = step.preview(&cx, &with).await.unwrap().intent;
        for _ in 0..2 {
            let Performed::Done(done) = step.perform(&cx, &with, &intent).await.unwrap() else { panic!() };
            assert_eq!((done.outcome.as_str(), &done.output["step"]), ("pinned", &json!(500)));
        }
        assert!(matches!(step.confirm(&cx, &with, &intent).await.unwrap(), Confirmation::Happened(_)));
        assert!(step.preview(&cx, &with).await.unwrap().nothing_to_do.is_some(), "it is there");
        assert!(matches!(step.undo(&cx, &with, &intent).await.unwrap(), Undone::Restored(_)));
        assert!(matches!(step.undo(&cx, &with, &intent).await.unwrap(), Undone::NothingToDo(_)));
        assert_eq!(std::fs::read_dir(at("out.pinned")).unwrap().count(), 0, "nothing is left");
        assert!(at("out/checkpoint-500/rng/0").exists());
        step.perform(&cx, &with, &intent).await.unwrap();
        if copy {
            // Rotated away.
            std::fs::remove_dir_all(at("out/checkpoint-500")).unwrap();
            assert!(matches!(step.undo(&cx, &with, &intent).await.unwrap(), Undone::Cannot(_)));
        } else {
            assert!(matches!(step.undo(&cx, &with, &intent).await.unwrap(), Undone::Restored(_)));
        }
    }
    assert_eq!(std::fs::read(at("out.pinned/checkpoint-500/model.safetensors")).unwrap(), weights());
}
