//! `shell` and `ssh` against a scripted site.

use std::sync::Arc;

use engine::site::Site;
use engine::step::{Change, Confirmation, Done, Effect, Performed, Step, StepErrorKind, Undone};
use serde_json::{Value, json};

use super::steps::{Shell, Ssh};
use crate::testkit::{Answer, FakeSite, exit, ok};

async fn shell(with: Value, answer: Answer) -> Done<Value> {
    let site = Arc::new(FakeSite::new());
    site.when(|_| true, answer);
    match Change::new(Shell).perform(&site.cx(), &with, &Value::Null).await.unwrap() {
        Performed::Done(done) => done,
        Performed::Ask(..) => panic!("it asks nobody"),
    }
}

#[test]
fn the_effect_is_what_can_be_shown_or_is_declared() {
    let effect = |with| Change::new(Shell).effect(&with);
    assert_eq!(effect(json!({ "run": "nvidia-smi -q | head" })), Effect::Reads);
    assert_eq!(effect(json!({ "argv": ["dmesg", "-T"] })), Effect::Reads);
    assert_eq!(effect(json!({ "argv": ["dmesg", "-C"] })), Effect::Irreversible);
    assert_eq!(effect(json!({ "run": "make x", "undo": "make unx" })), Effect::Reversible);
    assert_eq!(effect(json!({ "run": "./probe", "effect": "reads" })), Effect::Irreversible);
    assert_eq!(effect(json!({ "run": "./probe", "effect": "reads", "reason": "only looks" })), Effect::Reads);
    assert_eq!(effect(json!({ "run": "uptime", "effect": "changes" })), Effect::Irreversible);
    assert_eq!(effect(json!({ "rnu": "uptime" })), Effect::Irreversible);
    assert_eq!(effect(json!({ "run": "uptime", "argv": ["uptime"] })), Effect::Irreversible);
}

#[test]
fn shell_text_is_marked_in_the_schema() {
    let step = Change::new(Ssh);
    for name in ["run", "confirm", "undo"] {
        assert_eq!(step.spec().params["properties"][name]["x-shell"], json!(true), "{name}");
    }
    assert_eq!(step.spec().params["properties"]["argv"].get("x-shell"), None);
    assert_eq!(step.spec().params["required"], json!(["host"]));
    assert_eq!(step.spec().params["additionalProperties"], json!(false));
}

#[tokio::test]
async fn output_is_parsed_as_asked() {
    let done = shell(json!({ "argv": ["x"], "parse": "json" }), ok("{\"a\": 1}")).await;
    assert_eq!((done.outcome.as_str(), &done.output["json"]), ("ok", &json!({ "a": 1 })));
    assert_eq!(done.output["lines"], Value::Null);
    let done = shell(json!({ "argv": ["x"], "parse": "json" }), ok("sorry")).await;
    assert_eq!(
        (&done.output["json"], done.summary.last().unwrap().as_str()),
        (&Value::Null, "its output is not JSON")
    );
    let done = shell(json!({ "argv": ["x"], "parse": "lines" }), ok("a\nb\n")).await;
    assert_eq!(done.output["lines"], json!(["a", "b"]));
}

#[tokio::test]
async fn other_statuses_are_nonzero_and_the_summary_is_clean() {
    let done = shell(json!({ "argv": ["x"] }), exit(3, "", "one\n\x1b[31mlast\x1b[0m\n")).await;
    assert_eq!((done.outcome.as_str(), &done.output["exit"]), ("nonzero", &json!(3)));
    assert_eq!(done.summary, ["exit 3 after 0.0 s", "last"]);
    assert_eq!(done.output["stderr"], json!("one\n\x1b[31mlast\x1b[0m\n"));
    let done = shell(json!({ "argv": ["grep", "x"], "ok": [0, 1] }), exit(1, "", "")).await;
    assert_eq!(done.outcome, "ok");
}

#[tokio::test]
async fn long_output_is_bounded_but_parsed_whole() {
    let text = format!("\"{}\"", "é".repeat(70_000));
    let done = shell(json!({ "argv": ["x"], "parse": "json" }), ok(text)).await;
    assert_eq!(done.output["stdout"].as_str().unwrap().len(), (64 << 10) - 1);
    assert!(!done.output["stdout"].as_str().unwrap().contains('\u{fffd}'));
    assert_eq!(done.output["truncated"], json!(true));
    assert_eq!(done.output["json"].as_str().unwrap().chars().count(), 70_000);
}

#[tokio::test]
async fn the_command_goes_where_it_should() {
    let site = Arc::new(FakeSite::new());
    site.when(|_| true, ok(""));
    let with = json!({ "host": "gpu-1", "run": "make x", "cwd": "/w", "stdin": "in", "timeout": "5m", "undo": "make unx" });
    let step = Change::new(Ssh);
    let preview = step.preview(&site.cx(), &with).await.unwrap();
    assert_eq!((preview.target.as_str(), preview.commands), ("gpu-1", vec!["ssh gpu-1 make x".to_owned()]));
    assert_eq!(preview.undo.as_deref(), Some("runs: make unx"));
    assert!(site.calls().is_empty(), "a preview acts on nothing");
    step.perform(&site.cx(), &with, &preview.intent).await.unwrap();
    let [crate::testkit::Call::Run(command)] = &site.calls()[..] else { panic!("one command") };
    assert_eq!((command.cwd.as_deref(), command.timeout.as_secs()), (Some("/w"), 300));
    assert_eq!(command.stdin.as_deref(), Some(&b"in"[..]));
}

#[tokio::test]
async fn a_probe_tells_whether_it_happened() {
    let with = json!({ "run": "make x", "confirm": "test -f x", "undo": "rm x" });
    for (code, expected) in [(0, "happened"), (1, "did not"), (2, "unknown")] {
        let site = Arc::new(FakeSite::new());
        site.script("test -f x", exit(code, "", ""));
        site.script("rm x", ok(""));
        let step = Change::new(Shell);
        let said = match step.confirm(&site.cx(), &with, &Value::Null).await.unwrap() {
            Confirmation::Happened(done) => {
                assert_eq!((done.outcome.as_str(), &done.output["exit"]), ("ok", &Value::Null));
                "happened"
            }
            Confirmation::DidNot => "did not",
            Confirmation::Begun(_) => "begun",
            Confirmation::Unknown(_) => "unknown",
        };
        assert_eq!(said, expected);
        let undone = step.undo(&site.cx(), &with, &Value::Null).await.unwrap();
        assert_eq!(matches!(undone, Undone::NothingToDo(_)), code == 1);
        assert_eq!(site.commands().contains(&"rm x".to_owned()), code != 1);
    }
    let cx = Arc::new(FakeSite::new()).cx();
    let blind = Change::new(Shell).confirm(&cx, &json!({ "run": "make x" }), &Value::Null).await.unwrap();
    assert!(matches!(blind, Confirmation::Unknown(_)));
    let fixed = Change::new(Shell).undo(&cx, &json!({ "run": "make x" }), &Value::Null).await.unwrap();
    assert!(matches!(fixed, Undone::Cannot(_)));
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_refused() {
    let cx = Arc::new(FakeSite::new()).cx();
    for with in [
        json!({}),
        json!({ "run": "a", "argv": ["a"] }),
        json!({ "argv": [] }),
        json!({ "run": "./a", "effect": "reads" }),
        json!({ "run": "a", "timeout": "soon" }),
        json!({ "run": "a", "tiemout": "1s" }),
    ] {
        let error = Change::new(Shell).preview(&cx, &with).await.unwrap_err();
        assert_eq!(error.kind, StepErrorKind::Params, "{with}");
    }
}

#[tokio::test]
async fn a_waiting_read_ends_when_the_person_wants_and_a_change_does_not() {
    struct Slow;
    #[async_trait::async_trait]
    impl Site for Slow {
        async fn run(&self, _: &engine::site::Command) -> Answer {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            ok("late")
        }
        async fn read(&self, _: &str, _: u64, _: usize) -> Result<Vec<u8>, engine::site::SiteError> {
            unreachable!("no file is touched")
        }
        async fn stat(&self, _: &str) -> Result<Option<engine::site::FileStat>, engine::site::SiteError> {
            unreachable!("no file is touched")
        }
        async fn list(&self, _: &str) -> Result<Vec<engine::site::DirEntry>, engine::site::SiteError> {
            unreachable!("no file is touched")
        }
        async fn replace(&self, _: &str, _: Option<&str>, _: &[u8]) -> Result<(), engine::site::SiteError> {
            unreachable!("no file is touched")
        }
        async fn remove(&self, _: &str, _: &str) -> Result<(), engine::site::SiteError> {
            unreachable!("no file is touched")
        }
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
        async fn sleep(&self, _: std::time::Duration) {}
    }
    let cx = engine::step::StepCx::new(Arc::new(Slow), "r/1");
    cx.cancel.cancel();
    let read = Change::new(Shell).perform(&cx, &json!({ "run": "uptime" }), &Value::Null).await;
    assert_eq!(read.unwrap_err().message, "uptime: stopped");
    let change = Change::new(Shell).perform(&cx, &json!({ "run": "make x" }), &Value::Null).await;
    assert!(matches!(change.unwrap(), Performed::Done(done) if done.output["stdout"] == "late"));
}
