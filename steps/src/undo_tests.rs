//! Every change step, in a world that moves: confirmed before and after, its way back shown by reads alone, taken once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use engine::site::{Command, Program};
use engine::step::{Confirmation, Effect, Performed, Registry, Step, StepErrorKind, UndoPreview, Undone};
use serde_json::{Value, json};

use crate::slurm::{FAILED_JOB, IDLE_NODE, fixture_job};
use crate::testkit::{FakeSite, exit, ok};

/// What was done to the world, in order.
type Acts = Arc<Mutex<Vec<String>>>;

struct World {
    site: Arc<FakeSite>,
    acts: Acts,
}

impl World {
    fn new() -> Self {
        Self { site: FakeSite::shared(), acts: Acts::default() }
    }

    /// A command line that acts: it is noted, and says this.
    fn acting(&self, start: &'static str, says: &'static str) {
        let acts = Arc::clone(&self.acts);
        self.site.when_run(
            move |command| line(command).starts_with(start),
            move |command| {
                acts.lock().unwrap().push(line(command));
                ok(says)
            },
        );
    }

    /// A command line that tells how the world is after what was done to it.
    fn telling(&self, start: &'static str, tell: impl Fn(&[String]) -> String + Send + 'static) {
        let acts = Arc::clone(&self.acts);
        self.site.when_run(
            move |command| line(command).starts_with(start),
            move |_| ok(tell(&acts.lock().unwrap())),
        );
    }

    fn acts(&self) -> Vec<String> {
        self.acts.lock().unwrap().clone()
    }
}

fn line(command: &Command) -> String {
    match &command.program {
        Program::Argv(argv) => argv.join(" "),
        Program::Script(text) => text.clone(),
    }
}

fn done(acts: &[String], what: &str) -> bool {
    acts.iter().any(|act| act.contains(what))
}

/// Slurm with a node, a job 1 that runs, a job 123456 that failed, and whatever is submitted as job 9.
fn slurm() -> World {
    let world = World::new();
    world.telling("scontrol show config", |_| "ClusterName = lab\n".to_owned());
    world.telling("scontrol show hostnames", |_| "gpu-20\ngpu-21\n".to_owned());
    world.telling("scontrol -o show node gpu-23", |acts| {
        let drained = done(acts, "State=DRAIN") && !done(acts, "State=RESUME");
        let state = if drained { "IDLE+DRAIN" } else { "IDLE" };
        let reason = if drained { " Reason=Xid 95 runbook:run/1 [root@1795486305]" } else { "" };
        IDLE_NODE.replace("State=IDLE", &format!("State={state}")).trim_end().to_owned() + reason + "\n"
    });
    world.telling("scontrol -o show job 1", |_| fixture_job("llama", "/d/train.sbatch", ""));
    world.telling("scontrol -o show job 123456", |_| FAILED_JOB.to_owned());
    let ours = "nightly runbook:run/1";
    world.telling("scontrol -o show job 9", move |acts| {
        let state = if done(acts, "scancel 9") { "JobState=CANCELLED" } else { "JobState=PENDING" };
        let job = fixture_job("llama3-8b", "/x", ours).replace("JobId=1 ", "JobId=9 ");
        job.replace("JobState=RUNNING", state)
    });
    world.telling("squeue -h -t all", move |acts| match done(acts, "sbatch") {
        true => format!("9\u{1f}PENDING\u{1f}{ours}\u{1f}llama3-8b\u{1f}1795486000\n"),
        false => String::new(),
    });
    world.telling("squeue -h -t PD", |_| String::new());
    for (job, order) in [("squeue -h -j 1", "scancel 1"), ("squeue -h -j 9", "scancel 9")] {
        world.telling(job, move |acts| {
            format!("{}\u{1f}gpu-20\n", if done(acts, order) { "CANCELLED" } else { "RUNNING" })
        });
    }
    world.telling("sacct --helpformat", |_| "SubmitLine".to_owned());
    world.telling("sacct -n", |_| String::new());
    world.telling("id -un", |_| "kim\n".to_owned());
    world.telling("sbatch --test-only", |_| String::new());
    world.acting("sbatch --parsable", "9\n");
    world.acting("scontrol update", "");
    world.acting("scancel", "");
    world.site.file("/home/kim/train.sbatch", "#!/bin/bash\nexport A=1\nsrun torchrun train.py --batch 8\n");
    world
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    crate::register(&mut registry);
    registry
}

async fn perform(step: &dyn Step, world: &World, with: &Value, intent: &Value) -> String {
    match step.perform(&world.site.cx(), with, intent).await.unwrap() {
        Performed::Done(done) => done.outcome,
        Performed::Ask(..) => panic!("it asks nobody"),
    }
}

/// What each step is tried with; those that need real programs are tried beside their code.
fn tried() -> Vec<(&'static str, Value, Option<&'static str>)> {
    let script = "/home/kim/train.sbatch";
    vec![
        (
            "slurm.drain",
            json!({"node": "gpu-23", "reason": "Xid 95"}),
            Some("scontrol update NodeName=gpu-23 State=RESUME"),
        ),
        ("slurm.submit", json!({"job": "123456"}), Some("scancel 9")),
        ("slurm.cancel", json!({"job": "1"}), None),
        ("launch.edit", json!({"script": script, "set": {"A": "2"}}), Some("-export A=2")),
        (
            "launch.allocator",
            json!({"script": script, "options": {"expandable_segments": true}, "assume_torch": "2.9"}),
            Some("-export PYTORCH"),
        ),
        ("notify", json!({"url": "https://hooks.example/s3cret", "message": "x"}), None),
    ]
}

#[tokio::test]
async fn every_change_is_confirmed_and_its_way_back_is_shown_and_taken_once() {
    let registry = registry();
    for (kind, with, back) in tried() {
        let world = slurm();
        world.site.local(["curl"], ok("204"));
        let (step, cx) = (registry.get(kind).unwrap(), world.site.cx());
        let intent = step.preview(&cx, &with).await.unwrap().intent;
        let before = (world.acts(), world.site.content("/home/kim/train.sbatch"));
        if kind != "notify" {
            assert_eq!(step.confirm(&cx, &with, &intent).await.unwrap(), Confirmation::DidNot, "{kind}");
            let nothing = step.preview_undo(&cx, &with, &intent).await.unwrap();
            assert!(matches!(nothing, UndoPreview::NothingToDo(_)), "{kind}: {nothing:?}");
            let undone = step.undo(&cx, &with, &intent).await.unwrap();
            assert!(matches!(undone, Undone::NothingToDo(_) | Undone::Cannot(_)), "{kind}: {undone:?}");
        }
        assert_eq!((world.acts(), world.site.content("/home/kim/train.sbatch")), before, "{kind}");
        perform(&**step, &world, &with, &intent).await;
        let confirmed = step.confirm(&cx, &with, &intent).await.unwrap();
        match kind {
            "notify" => assert!(matches!(confirmed, Confirmation::Unknown(_)), "a webhook cannot be asked"),
            _ => assert!(matches!(confirmed, Confirmation::Happened(_)), "{kind}: {confirmed:?}"),
        }
        let after = world.acts();
        let looked = step.preview_undo(&cx, &with, &intent).await.unwrap();
        assert_eq!(
            step.preview_undo(&cx, &with, &intent).await.unwrap(),
            looked,
            "{kind}: consent binds to it"
        );
        assert_eq!(world.acts(), after, "{kind}: looking changes nothing");
        let Some(back) = back else {
            assert!(matches!(looked, UndoPreview::Cannot(_)), "{kind}: {looked:?}");
            assert!(matches!(step.undo(&cx, &with, &intent).await.unwrap(), Undone::Cannot(_)), "{kind}");
            assert_eq!(world.acts(), after, "{kind}");
            continue;
        };
        let UndoPreview::Would(plan) = looked else { panic!("{kind}: {looked:?}") };
        assert!(!plan.blind && !plan.target.is_empty(), "{kind}");
        let shown =
            [plan.commands, plan.diffs.into_iter().map(|diff| diff.unified).collect()].concat().join("\n");
        assert!(shown.contains(back), "{kind}: {shown}");
        assert!(matches!(step.undo(&cx, &with, &intent).await.unwrap(), Undone::Restored(_)), "{kind}");
        let restored = world.acts();
        for _ in 0..2 {
            assert!(
                matches!(step.undo(&cx, &with, &intent).await.unwrap(), Undone::NothingToDo(_)),
                "{kind}"
            );
        }
        assert_eq!(world.acts(), restored, "{kind}: taken back once");
        let again = step.preview_undo(&cx, &with, &intent).await.unwrap();
        assert!(matches!(again, UndoPreview::NothingToDo(_)), "{kind}: {again:?}");
        assert_eq!(world.site.content("/home/kim/train.sbatch"), before.1, "{kind}");
    }
}

#[test]
fn no_change_step_is_forgotten() {
    let registry = registry();
    let changing = registry.steps().filter(|step| step.spec().effect.changes()).map(|step| step.spec().kind);
    let mut known: BTreeSet<&str> = tried().into_iter().map(|(kind, ..)| kind).collect();
    // With real files in `checkpoint::pin`; as `launch.edit` in `launch`; below.
    known.extend(["checkpoint.pin", "launch.lever", "shell", "ssh"]);
    assert_eq!(changing.collect::<BTreeSet<_>>(), known, "a change step without a test of its way back");
    assert!(registry.steps().all(|step| step.spec().effect != Effect::Pure || !step.spec().effect.changes()));
}

#[tokio::test]
async fn a_shell_change_is_looked_up_by_the_authors_command_or_a_person_is_asked() {
    let registry = registry();
    for (kind, host) in [("shell", json!({})), ("ssh", json!({"host": "gpu-1"}))] {
        let step = registry.get(kind).unwrap();
        let mut with = host;
        with["run"] = json!("make x");
        with["undo"] = json!("make unx");
        for (probe, expected) in
            [(Some(0), "would"), (Some(1), "nothing"), (Some(255), "blind"), (None, "blind")]
        {
            let world = World::new();
            world.acting("make unx", "");
            if let Some(code) = probe {
                with["confirm"] = json!("test -e x");
                world.site.script("test -e x", exit(code, "", ""));
            } else {
                with.as_object_mut().unwrap().remove("confirm");
            }
            let look = step.preview_undo(&world.site.cx(), &with, &Value::Null).await.unwrap();
            let told = match &look {
                UndoPreview::Would(plan) if plan.blind => "blind",
                UndoPreview::Would(plan) => {
                    assert!(plan.commands[0].contains("make unx"), "{plan:?}");
                    "would"
                }
                UndoPreview::NothingToDo(_) => "nothing",
                UndoPreview::Cannot(_) => "cannot",
            };
            assert_eq!(told, expected, "{kind} {probe:?}");
            assert!(world.acts().is_empty(), "looking runs no undo");
        }
    }
}

#[tokio::test]
async fn what_is_no_longer_the_pinned_target_is_refused_right_before_the_effect() {
    let registry = registry();
    for (kind, with, order) in [
        ("slurm.cancel", json!({"job": "1"}), "scancel"),
        ("slurm.submit", json!({"job": "123456"}), "sbatch --parsable"),
    ] {
        let step = registry.get(kind).unwrap();
        let intent = step.preview(&slurm().site.cx(), &with).await.unwrap().intent;
        for (key, value) in [("Restarts=", "3"), ("SubmitTime=", "1795489999")] {
            // Requeued, or its id given out anew, between consent and act.
            let world = slurm();
            let one = with_field(&fixture_job("llama", "/d/train.sbatch", ""), key, value);
            let other = with_field(FAILED_JOB, key, value);
            world.telling("scontrol -o show job 1", move |_| one.clone());
            world.telling("scontrol -o show job 123456", move |_| other.clone());
            let error = step.perform(&world.site.cx(), &with, &intent).await.unwrap_err();
            assert_eq!(error.kind, StepErrorKind::Drifted, "{kind} {key}");
            assert!(!done(&world.acts(), order), "{kind} {key}");
        }
        // Resumed on a login node of another cluster, where the id stands for nothing, or for another job.
        let elsewhere = slurm();
        elsewhere.telling("scontrol show config", |_| "ClusterName = other\n".to_owned());
        let error = step.confirm(&elsewhere.site.cx(), &with, &intent).await.unwrap_err();
        assert_eq!(error.kind, StepErrorKind::Drifted, "{kind}");
        let error = step.preview_undo(&elsewhere.site.cx(), &with, &intent).await.unwrap_err();
        assert!(error.message.contains("on cluster lab, and this is cluster other"), "{kind}: {error}");
    }
}

/// The same job with another value of one field.
fn with_field(text: &str, key: &str, value: &str) -> String {
    let at = text.find(key).unwrap() + key.len();
    let end = at + text[at..].find(' ').unwrap();
    format!("{}{value}{}", &text[..at], &text[end..])
}

#[tokio::test]
async fn a_job_that_was_submitted_is_found_also_when_it_is_over_and_another_has_its_id() {
    let registry = registry();
    let (step, with) = (registry.get("slurm.submit").unwrap(), json!({"job": "123456"}));
    let intent = step.preview(&slurm().site.cx(), &with).await.unwrap().intent;
    // sbatch's answer was lost, the job ran and ended, slurmctld has forgotten it.
    let over = slurm();
    over.telling("sacct -n -P -X --delimiter=\u{1f} -S", |_| {
        "9\u{1f}nightly runbook:run/1\u{1f}llama3-8b\n".to_owned()
    });
    over.site.when(
        |command| line(command).starts_with("scontrol -o show job 9"),
        exit(1, "", "slurm_load_jobs error: Invalid job id specified"),
    );
    let confirmed = step.confirm(&over.site.cx(), &with, &intent).await.unwrap();
    assert!(matches!(&confirmed, Confirmation::Happened(done) if done.output["job"] == "9"), "{confirmed:?}");
    assert!(matches!(step.undo(&over.site.cx(), &with, &intent).await.unwrap(), Undone::NothingToDo(_)));
    // Its id was given out anew.
    let reused = slurm();
    reused.telling("sacct -n -P -X --delimiter=\u{1f} -S", |_| {
        "9\u{1f}nightly runbook:run/1\u{1f}llama3-8b\n".to_owned()
    });
    reused.telling("scontrol -o show job 9", |_| {
        fixture_job("x", "/x", "theirs").replace("JobId=1 ", "JobId=9 ")
    });
    for _ in 0..2 {
        let undone = step.undo(&reused.site.cx(), &with, &intent).await.unwrap();
        assert!(matches!(&undone, Undone::NothingToDo(why) if why.contains("another job")), "{undone:?}");
    }
    assert!(over.acts().is_empty() && reused.acts().is_empty());
}

#[tokio::test]
async fn a_node_keeps_the_state_and_the_reason_that_others_gave_it() {
    let registry = registry();
    let (step, with) = (registry.get("slurm.drain").unwrap(), json!({"node": "gpu-23", "reason": "Xid 95"}));
    let down = slurm();
    down.telling("scontrol -o show node gpu-23", |_| IDLE_NODE.replace("State=IDLE", "State=DOWN*"));
    let shown = step.preview(&down.site.cx(), &with).await.unwrap();
    assert!(
        shown.undo.unwrap().starts_with("scontrol update NodeName=gpu-23 State=UNDRAIN"),
        "it was down before"
    );
    let intent = step.preview(&slurm().site.cx(), &with).await.unwrap().intent;
    let theirs = slurm();
    theirs.telling("scontrol -o show node gpu-23", |_| {
        IDLE_NODE.replace("State=IDLE", "State=DOWN").trim_end().to_owned()
            + " Reason=RMA 4711 [root@1795486305]\n"
    });
    assert_eq!(perform(&**step, &theirs, &with, &intent).await, "drained");
    assert!(theirs.acts().is_empty(), "somebody took it out meanwhile: their reason stays");
}
