//! Executables that answer as they should, and all the others.

use std::process::Command;
use std::sync::Arc;

use engine::step::{
    Confirmation, Effect, Outcomes, Performed, Step, StepCx, StepError, StepErrorKind, UndoPreview, Undone,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::schema::Schema;
use super::*;
use crate::site::LiveSite;

/// An executable that gives the answers that lie beside it.
struct Told(tempfile::TempDir);

impl Told {
    fn new(body: &str) -> Self {
        let told = Self(tempfile::tempdir().unwrap());
        told.put("text", &format!("#!/bin/sh\ncat >\"$0.$1.asked\"\n{body}\ncat \"$0.$1\"\n"));
        // Never open for writing in this process: a child of another test would keep it so, and it could not be started.
        let [from, to] = ["text", ""].map(|name| told.path(name));
        assert!(Command::new("install").args(["-m", "755", &from, &to]).status().unwrap().success());
        told.put("describe", &json!({ "ok": described() }).to_string());
        told
    }

    fn path(&self, name: &str) -> String {
        let dot = if name.is_empty() { "" } else { "." };
        format!("{}/runbook-step-demo.put{dot}{name}", self.0.path().display())
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn asked(&self, verb: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(&format!("{verb}.asked"))).unwrap()).unwrap()
    }

    async fn describe(&self) -> Result<External, StepError> {
        let executable = Executable::new("demo.put", self.0.path().to_str().unwrap()).unwrap();
        describe(&LiveSite::new(), executable).await
    }
}

fn described() -> Value {
    json!({
        "protocol": 1,
        "summary": "Put a thing somewhere",
        "effect": "reversible",
        "outcomes": { "put": "It lies there", "full": "There is no room" },
        "params": {
            "type": "object",
            "additionalProperties": false,
            "required": ["thing"],
            "properties": { "thing": { "type": "string" }, "number": { "type": "integer" } },
        },
        "output": { "type": "object", "required": ["place"], "properties": { "place": { "type": "string" } } },
        "targets": ["shelf/{thing}"],
        "timeout": "2s",
    })
}

fn cx() -> StepCx {
    StepCx::new(Arc::new(LiveSite::new()), "run/7")
}

fn with() -> Value {
    json!({ "thing": "cup" })
}

#[tokio::test]
async fn it_is_asked_as_it_described_itself() {
    let told = Told::new("");
    let step = told.describe().await.unwrap();
    let spec = step.spec();
    assert_eq!(
        (spec.kind, spec.summary, spec.effect),
        ("demo.put", "Put a thing somewhere", Effect::Reversible)
    );
    let Outcomes::Fixed(outcomes) = &spec.outcomes else { panic!("{spec:?}") };
    assert_eq!(outcomes.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["full", "put"]);
    assert_eq!(step.targets(&with()), ["shelf/cup"]);
    assert_eq!(step.targets(&json!({})), Vec::<String>::new());

    let done = json!({ "outcome": "put", "output": { "place": "top" }, "summary": ["on top"] });
    told.put(
        "preview",
        &json!({ "ok": {
            "target": "the cup", "undo": "takes it away", "intent": { "was": 3 }, "predicted": [done],
        } })
        .to_string(),
    );
    let shown = step.preview(&cx(), &with()).await.unwrap();
    assert_eq!(shown.commands, ["runbook-step-demo.put perform"]);
    assert!(shown.notes[0].starts_with(&format!("by {} (sha256 ", told.path(""))), "{:?}", shown.notes);
    assert_eq!(shown, step.preview(&cx(), &with()).await.unwrap(), "consent binds to it");
    let asked = told.asked("preview");
    assert_eq!(
        asked,
        json!({ "protocol": 1, "verb": "preview", "token": "run/7", "params": with(), "intent": null })
    );

    told.put("perform", &json!({ "ok": done }).to_string());
    let Performed::Done(came) = step.perform(&cx(), &with(), &shown.intent).await.unwrap() else {
        panic!("it asks")
    };
    assert_eq!((came.outcome.as_str(), came.summary), ("put", vec!["on top".to_owned()]));
    assert_eq!(told.asked("perform")["intent"], json!({ "was": 3 }));

    let confirm = async |answer: Value| {
        told.put("confirm", &json!({ "ok": answer }).to_string());
        let confirmed = step.confirm(&cx(), &with(), &shown.intent).await.unwrap();
        (confirmed, step.preview_undo(&cx(), &with(), &shown.intent).await.unwrap())
    };
    let (confirmed, undo) = confirm(json!({ "happened": done })).await;
    assert!(matches!(confirmed, Confirmation::Happened(_)));
    let UndoPreview::Would(plan) = undo else { panic!("{undo:?}") };
    assert_eq!((plan.commands, plan.blind), (vec!["runbook-step-demo.put undo".to_owned()], false));
    assert!(plan.notes.contains(&"takes it away".to_owned()), "{:?}", plan.notes);
    let (confirmed, undo) = confirm(json!("did_not")).await;
    assert!(matches!((confirmed, undo), (Confirmation::DidNot, UndoPreview::NothingToDo(_))));
    let (confirmed, undo) = confirm(json!({ "unknown": "dark" })).await;
    assert_eq!(confirmed, Confirmation::Unknown("dark".to_owned()));
    assert!(matches!(undo, UndoPreview::Would(plan) if plan.blind));
    told.put("undo", r#"{"ok": {"restored": "it is gone"}}"#);
    let undone = step.undo(&cx(), &with(), &shown.intent).await.unwrap();
    assert_eq!(undone, Undone::Restored("it is gone".to_owned()));
}

#[tokio::test]
async fn another_executable_than_the_one_that_was_agreed_to_does_nothing() {
    let told = Told::new("");
    let step = told.describe().await.unwrap();
    told.put("preview", r#"{"ok": {"target": "the cup", "intent": 1}}"#);
    let shown = step.preview(&cx(), &with()).await.unwrap();
    told.put("text", "#!/bin/sh\necho '{\"ok\": {\"outcome\": \"put\", \"output\": {\"place\": \"x\"}}}'; touch \"$0.done\"\n");
    let [from, to] = ["text", ""].map(|name| told.path(name));
    assert!(Command::new("install").args(["-m", "755", &from, &to]).status().unwrap().success());
    let error = step.perform(&cx(), &with(), &shown.intent).await.unwrap_err();
    assert!(error.kind == StepErrorKind::Drifted && error.message.contains("nothing was done"), "{error}");
    assert!(!std::path::Path::new(&told.path("done")).exists());
}

#[tokio::test]
async fn what_is_no_description_is_refused() {
    let cases: [(&str, Value, &str); 12] = [
        ("protocol", json!(2), "this program speaks 1"),
        ("summary", json!(" \u{1b}[2J "), "`summary`"),
        ("effect", json!("none"), "unknown variant `none`"),
        ("outcomes", json!({}), "there must be 1 to 64"),
        ("outcomes", json!({ "Not Snake": "" }), "is not snake_case"),
        ("params", json!({ "type": "string" }), "must be \"object\""),
        (
            "params",
            json!({ "type": "object", "properties": { "a": { "$ref": "http://x" } } }),
            "`a` has `$ref`",
        ),
        ("params", json!({ "type": "object", "properties": { "a": { "pattern": "(" } } }), "unclosed group"),
        ("output", json!({ "type": "object", "required": "a" }), "of another type"),
        ("targets", json!(["shelf/{unknown}"]), "with parameters in braces"),
        ("timeout", json!("72h"), "at most a day"),
        ("surprise", json!(1), "unknown field `surprise`"),
    ];
    for (name, value, words) in cases {
        let told = Told::new("");
        let mut wrong = described();
        wrong[name] = value;
        told.put("describe", &json!({ "ok": wrong }).to_string());
        let error = told.describe().await.unwrap_err();
        assert!(error.message.contains(words), "{name}: {error}");
    }
    for name in ["", "Upper", "a b", "a/../b", ".a", "a.", "-a", "1a", "a$(x)"] {
        assert_eq!(Executable::new(name, "/x"), None, "{name}");
    }
}

#[tokio::test]
async fn hostile_answers_are_errors_that_say_what_was_wrong() {
    let ok = |value: Value| json!({ "ok": value }).to_string();
    let end = |outcome: &str, output: Value| ok(json!({ "outcome": outcome, "output": output }));
    let cases = [
        (String::new(), "it said nothing"),
        ("Traceback\u{1b}[31m (most recent".to_owned(), "it said `Traceback (most recent`"),
        ("{\"ok\": {}} trailing".to_owned(), "missing field `outcome`"),
        (end("put", json!({ "place": "x" })) + "!", "trailing characters"),
        (end("burnt", json!({ "place": "x" })), "`burnt` is none of its outcomes"),
        (end("put", json!({ "place": 7 })), "`place` is number, not string"),
        (end("put", json!({})), "`place` is missing"),
        (end("put", json!(null)), "it is null, not object"),
        (
            r#"{"ok": {"outcome": "put", "output": {"place": "x"}, "more": 1}}"#.to_owned(),
            "unknown field `more`",
        ),
        (format!("[{}", "[".repeat(5000)), "its answer is not understood"),
        (
            r#"{"error": {"kind": "not_recorded", "message": "x"}}"#.to_owned(),
            "unknown variant `not_recorded`",
        ),
    ];
    for (answer, words) in cases {
        let told = Told::new("");
        let step = told.describe().await.unwrap();
        told.put("preview", &ok(json!({ "target": "x" })));
        let intent = step.preview(&cx(), &with()).await.unwrap().intent;
        told.put("perform", &answer);
        let error = step.perform(&cx(), &with(), &intent).await.unwrap_err();
        assert_eq!(error.kind, StepErrorKind::Malformed, "{answer}: {error}");
        assert!(error.message.contains(words), "{answer}: {error}");
        assert!(!error.message.contains('\u{1b}') && error.message.len() < 1000, "{error}");
    }
}

#[tokio::test]
async fn breaks_are_told_by_their_kind_with_what_it_said() {
    for (body, kind, words) in [
        ("echo one >&2; echo two >&2; exit 3", StepErrorKind::Failed, "exit status 3: one; two"),
        ("kill -9 $$", StepErrorKind::Failed, "was ended by signal 9"),
        ("[ $1 = describe ] || head -c 2000000 /dev/zero", StepErrorKind::Malformed, "more than 1 MiB"),
        (
            "[ $1 = describe ] || sleep 60",
            StepErrorKind::Timeout,
            "runbook-step-demo.put preview: ran past its limit",
        ),
    ] {
        let told = Told::new(body);
        told.put("preview", r#"{"ok": {"target": "x"}}"#);
        let error = match told.describe().await {
            Ok(step) => step.preview(&cx(), &with()).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.kind == kind && error.message.contains(words), "{body}: {:?} {error}", error.kind);
    }
    let told = Told::new("");
    let step = told.describe().await.unwrap();
    told.put("preview", r#"{"error": {"kind": "denied", "message": "not yours", "help": "ask"}}"#);
    let error = step.preview(&cx(), &with()).await.unwrap_err();
    assert_eq!((error.kind, error.help.as_deref()), (StepErrorKind::Denied, Some("ask")));
    for (params, words) in
        [(json!({}), "`thing` is missing"), (json!({ "thing": "a", "b": 1 }), "`b` is not described")]
    {
        let error = step.preview(&cx(), &params).await.unwrap_err();
        assert!(error.kind == StepErrorKind::Params && error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn whoever_wants_to_stop_is_heard_and_all_of_it_is_ended() {
    let told = Told::new("[ $1 = describe ] || { sleep 77 & echo $! >\"$0.pid\"; wait; }");
    let step = told.describe().await.unwrap();
    let cx = cx();
    let cancel = cx.cancel.clone();
    let pid = told.path("pid");
    let stop = async move {
        while std::fs::read_to_string(&pid).map_or(true, |text| text.is_empty()) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        cancel.cancel();
        std::fs::read_to_string(&pid).unwrap()
    };
    let with = with();
    let (result, pid) = tokio::join!(step.preview(&cx, &with), stop);
    assert!(result.unwrap_err().message.contains("stopped"));
    let gone = || {
        !std::path::Path::new(&format!("/proc/{}/cmdline", pid.trim())).exists()
            || std::fs::read(format!("/proc/{}/cmdline", pid.trim())).is_ok_and(|line| line.is_empty())
    };
    for _ in 0..500 {
        if gone() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("its child lives on");
}

#[test]
fn every_word_of_a_schema_is_checked() {
    let of =
        |inner: Value| Schema::of_object(json!({ "type": "object", "properties": { "a": inner } })).unwrap();
    let cases = [
        (json!({ "type": ["string", "null"] }), json!(null), json!(1)),
        (json!({ "type": "integer" }), json!(2.0), json!(2.5)),
        (json!({ "enum": ["x", 1] }), json!(1), json!(2)),
        (json!({ "const": true }), json!(true), json!(false)),
        (json!({ "minimum": 1, "maximum": 3 }), json!(3), json!(4)),
        (json!({ "minLength": 2, "maxLength": 2 }), json!("éé"), json!("é")),
        (json!({ "pattern": "^a" }), json!("ab"), json!("ba")),
        (json!({ "type": "array", "items": { "type": "number" }, "minItems": 1 }), json!([1]), json!(["x"])),
        (json!({ "items": true, "maxItems": 1 }), json!([1]), json!([1, 2])),
        (
            json!({ "type": "object", "additionalProperties": { "type": "null" } }),
            json!({ "b": null }),
            json!({ "b": 1 }),
        ),
        (json!({ "anyOf": [{ "type": "null" }, { "minimum": 2 }] }), json!(3), json!(1)),
        (json!({ "oneOf": [{ "minimum": 2 }, { "minimum": 5 }] }), json!(3), json!(6)),
    ];
    for (schema, fits, not) in cases {
        let checked = of(schema.clone());
        assert_eq!(checked.check(&json!({ "a": fits })), Ok(()), "{schema}");
        let why = checked.check(&json!({ "a": not })).unwrap_err();
        assert!(why.contains("`a"), "{schema}: {why}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "type",
        "properties",
        "items",
        "enum",
        "pattern",
        "anyOf",
        "required",
        "x",
        "object",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        "[a-c(\\[]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..4).prop_map(|all| all
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn no_schema_and_no_value_makes_it_panic(schema in json_value(), value in json_value()) {
        let mut object = json!({ "type": "object" });
        if let Value::Object(more) = schema {
            for (name, value) in more.into_iter().filter(|(name, _)| name != "type") {
                object[name] = value;
            }
        }
        if let Ok(schema) = Schema::of_object(object) {
            let _ = schema.check(&value);
        }
    }
}
