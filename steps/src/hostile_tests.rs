//! Hostile text as every parameter of every step, and as whatever Slurm says of a job: nothing of it is executed by any
//! command that a step runs, shows, or writes into a script, and no line for people carries what a terminal acts on.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use engine::site::{Command, Program};
use engine::step::{Done, Performed, Registry, Step};
use serde_json::{Map, Value, json};

use crate::slurm::{FAILED_JOB, IDLE_NODE, fixture_job};
use crate::testkit::{Call, FakeSite, ok};

const HOSTILE: &[&str] = &[
    "$(touch CANARY)",
    "`touch CANARY`",
    "x; touch CANARY #",
    "x\ntouch CANARY\n",
    "'; touch CANARY; '",
    "\"; touch CANARY; \"",
    "x\" $(touch CANARY) '`touch CANARY`'",
    "/d/$(touch CANARY)/train.sbatch",
    "/d/'; touch CANARY; '/train.sbatch",
    "-oProxyCommand=touch CANARY",
    "--wrap=touch CANARY",
    "\u{1b}]0;$(touch CANARY)\u{7}\u{1b}[2J\u{202e}touch CANARY",
    "gpu-[20-21],$(touch CANARY)",
    "x && touch CANARY || touch CANARY | touch CANARY & touch CANARY > CANARY",
];

/// A place where a command can show that it was executed, and can do nothing else: `touch` is the only program.
struct Cage(tempfile::TempDir);

impl Cage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        let script = "#!/bin/sh\nfor file; do : > \"$file\"; done\n";
        let touch = dir.path().join("bin/touch");
        std::fs::write(&touch, script).unwrap();
        std::fs::set_permissions(&touch, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self(dir)
    }

    fn touched(&self, text: &str) -> bool {
        let dir: &Path = self.0.path();
        let work = dir.join("work");
        std::fs::create_dir_all(&work).unwrap();
        let mut shell = Process::new("/bin/sh");
        shell.arg("-c").arg(text).current_dir(&work).env_clear().env("PATH", dir.join("bin"));
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status().unwrap();
        let touched = std::fs::read_dir(&work).unwrap().next().is_some();
        std::fs::remove_dir_all(&work).unwrap();
        touched
    }
}

/// What is looked at, once each.
struct Inspector {
    cage: Cage,
    seen: BTreeSet<String>,
}

impl Inspector {
    fn new() -> Self {
        let cage = Cage::new();
        assert!(cage.touched("x; touch CANARY"), "the cage shows what is executed");
        assert!(!cage.touched("x '; touch CANARY'"));
        Self { cage, seen: BTreeSet::new() }
    }

    fn harmless(&mut self, text: &str, whose: &str) {
        if text.contains("CANARY") && self.seen.insert(text.to_owned()) {
            assert!(!self.cage.touched(text), "{whose} executes what it was given: {text}");
        }
    }

    /// What was run, as a person would type it, and as the shell of a host gets it.
    fn commands(&mut self, site: &FakeSite, whose: &str) {
        for call in site.calls() {
            let Call::Run(command) = call else { continue };
            let there = Command { host: None, ..command.clone() };
            self.harmless(&command.to_string(), whose);
            self.harmless(&there.to_string(), whose);
            if let Program::Script(text) = &command.program {
                self.harmless(text, whose);
            }
        }
    }
}

fn for_people(lines: &[String], whose: &str) {
    for line in lines {
        let bad = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!line.contains(bad), "{whose} hands a terminal what it acts on: {line:?}");
    }
}

/// A world in which every free text that Slurm has of a job is this.
fn world(text: &str) -> Arc<FakeSite> {
    let site = FakeSite::shared();
    let flat = text.replace('\n', " ");
    site.when(|_| true, ok(format!("{text}\n{text}\n")));
    let line = |command: &Command| match &command.program {
        Program::Argv(argv) => argv.join(" "),
        Program::Script(text) => text.clone(),
    };
    let telling = |start: &'static str, says: String| {
        site.when(move |command| line(command).starts_with(start), ok(says));
    };
    telling("scontrol -o show job", fixture_job(&flat, &flat, &flat));
    telling("scontrol -o show job 123456", FAILED_JOB.replace("llama3-8b", &flat));
    telling(
        "scontrol -o show node",
        IDLE_NODE.trim_end().to_owned() + &format!(" Reason={flat} [root@1795486305]\n"),
    );
    telling("scontrol show config", format!("ClusterName = {flat}\n"));
    telling("scontrol show hostnames", format!("{flat}\n"));
    telling("squeue", format!("1\u{1f}RUNNING\u{1f}{flat}\u{1f}{flat}\u{1f}1795486000\n"));
    telling("sacct --helpformat", "SubmitLine".to_owned());
    telling("sacct -n", String::new());
    telling("sbatch", "9\n".to_owned());
    telling("id -un", format!("{flat}\n"));
    site.file("/home/kim/train.sbatch", "#!/bin/bash\nexport A=1\nsrun torchrun train.py --batch 8\n");
    site
}

/// Parameters in which only what must be there is.
fn least(kind: &str, schema: &Value) -> Map<String, Value> {
    let mut with = Map::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let value = match name {
            "script" => json!("/home/kim/train.sbatch"),
            "job" if kind == "slurm.submit" => json!("123456"),
            "path" => json!("/out/checkpoint-500"),
            "url" => json!("https://hooks.example/x"),
            "choices" => json!({"a": "b"}),
            _ => json!("1"),
        };
        with.insert(name.to_owned(), value);
    }
    match kind {
        "shell" | "ssh" => drop(with.insert("argv".to_owned(), json!(["scontrol", "reconfigure"]))),
        "notify" => drop(with.insert("message".to_owned(), json!("x"))),
        "launch.edit" => drop(with.insert("set".to_owned(), json!({"A": "2"}))),
        "launch.allocator" => drop(with.insert("options".to_owned(), json!({"expandable_segments": true}))),
        _ => {}
    }
    with
}

/// A value of this property that is hostile as far as its type allows.
fn hostile(property: &Value, text: &str) -> Option<Value> {
    let types = match &property["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    types.into_iter().find_map(|kind| match kind {
        "string" => Some(json!(text)),
        "array" => Some(json!([text])),
        "object" => Some(json!({ "A": text, text: text })),
        _ => None,
    })
}

async fn tried(step: &dyn Step, site: &Arc<FakeSite>, with: &Value, inspector: &mut Inspector) {
    let (kind, cx) = (step.spec().kind, site.cx());
    let mut done: Option<Done<Value>> = None;
    if step.effect(with).changes() {
        if let Ok(preview) = step.preview(&cx, with).await {
            for_people(&preview.notes, kind);
            for command in &preview.commands {
                // Of a webhook the payload is shown, which is no command.
                if kind != "notify" {
                    inspector.harmless(command, kind);
                }
            }
            if preview.nothing_to_do.is_none() {
                if let Ok(Performed::Done(answer)) = step.perform(&cx, with, &preview.intent).await {
                    done = Some(answer);
                }
                let _ = step.confirm(&cx, with, &preview.intent).await;
                let _ = step.preview_undo(&cx, with, &preview.intent).await;
                if let Some(script) = site.content("/home/kim/train.sbatch") {
                    inspector.harmless(&String::from_utf8_lossy(&script), kind);
                }
                let _ = step.undo(&cx, with, &preview.intent).await;
            }
        }
    } else if let Ok(Performed::Done(answer)) = step.perform(&cx, with, &Value::Null).await {
        done = Some(answer);
    }
    for_people(&done.map(|done| done.summary).unwrap_or_default(), kind);
    inspector.commands(site, kind);
}

#[tokio::test]
async fn hostile_text_through_every_step_is_never_executed() {
    let mut registry = Registry::default();
    crate::register(&mut registry);
    let mut inspector = Inspector::new();
    for step in registry.steps() {
        let spec = step.spec();
        let properties = spec.params["properties"].as_object().cloned().unwrap_or_default();
        for text in HOSTILE {
            let least = least(spec.kind, &spec.params);
            let site = world(text);
            tried(&**step, &site, &Value::Object(least.clone()), &mut inspector).await;
            for (name, property) in &properties {
                // What the author writes for a shell is executed; values in it are quoted by the template engine.
                if property["x-shell"] == json!(true) || name == "argv" {
                    continue;
                }
                let Some(value) = hostile(property, text) else { continue };
                let mut with = least.clone();
                with.insert(name.clone(), value);
                let site = world("fine");
                tried(&**step, &site, &Value::Object(with), &mut inspector).await;
            }
        }
    }
    assert!(inspector.seen.len() > 50, "only {} texts got as far as a command", inspector.seen.len());
}

#[tokio::test]
async fn what_slurm_says_of_a_job_is_kept_as_it_is_said() {
    let mut registry = Registry::default();
    crate::register(&mut registry);
    let step = registry.get("slurm.job").unwrap();
    for text in HOSTILE.iter().filter(|text| !text.contains('\n')) {
        let site = world(text);
        let performed = step.perform(&site.cx(), &json!({"job": "1"}), &Value::Null).await.unwrap();
        let Performed::Done(done) = performed else { panic!("it asks nobody") };
        assert_eq!(done.output["name"], json!(text.trim()), "nothing of it is lost");
    }
}
