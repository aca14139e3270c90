//! What a run changed on a real cluster is taken back.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::kit::{Ran, World};

/// A treated job: the run that treated it, and the job that it submitted.
fn treated(world: &World) -> (String, String) {
    let ran = world.treat(&[]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let started = ran.events.iter().find(|event| event["entry"]["type"] == "started").expect("a start");
    let run = started["entry"]["run"].as_str().expect("an id").to_owned();
    (run, ran.jobs().pop().expect("a job"))
}

fn state(job: &str) -> String {
    let output =
        Command::new("squeue").args(["-h", "-t", "all", "-j", job, "-o", "%T"]).output().expect("runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn counts(scancels: usize) -> std::collections::BTreeMap<String, usize> {
    [("sbatch".to_owned(), 1), ("scancel".to_owned(), scancels)].into()
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_treated_job_is_taken_back_up_to_its_scancel() {
    let world = World::new("fragmentation", &[]);
    let before = world.script();
    let (run, job) = treated(&world);
    assert_ne!(world.script(), before);

    // The head of the journal stands in the comment of the job.
    let verified = world.run(&["runs", "verify", &run, "--json"]);
    let told: Value = serde_json::from_str(&verified.stdout).expect("JSON");
    let by = format!("the comment of job {job}");
    let noted = told["noted"].as_array().expect("heads").iter().find(|noted| noted["by"] == by.as_str());
    let seq = noted.expect("Slurm tells its comment")["seq"].as_u64().expect("a number");
    assert_eq!((verified.status, told["holds"].as_bool()), (Some(0), Some(true)));
    let directory = world.state.join("runs").join(&run);
    let journal = directory.join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    let kept = usize::try_from(seq).expect("a small number") - 1;
    let cut: String = text.split_inclusive('\n').take(kept).collect();
    let summary = std::fs::read(directory.join("run.json")).expect("a summary");
    std::fs::write(&journal, cut).expect("is cut");
    std::fs::remove_file(directory.join("run.json")).expect("is gone");
    let missed = world.run(&["runs", "verify", &run]);
    // Its tail is gone with the entry that says which jobs were submitted; the frozen plan says that some may have been.
    assert_eq!(missed.status, Some(1), "{}", missed.stdout);
    assert!(missed.stdout.contains("truncated") && missed.stdout.contains(&by), "{}", missed.stdout);
    std::fs::write(&journal, text).expect("is whole again");
    std::fs::write(directory.join("run.json"), summary).expect("is back");

    let dry = world.run(&["rollback", &run, "--dry-run"]);
    assert_eq!(dry.status, Some(6), "{}", dry.stderr);
    assert!(dry.stdout.contains(&format!("scancel {job}")), "{}", dry.stdout);
    assert_eq!(world.counts(), counts(1), "a dry run changes nothing");

    for _ in 0..2 {
        let ran = world.run(&["rollback", &run, "--yes", "--json"]);
        assert_eq!(ran.status, Some(6), "{}", ran.stderr);
        assert!(ran.stderr.contains("point of no return"), "{}", ran.stderr);
        assert_eq!(world.script(), before);
        assert!(state(&job).contains("CANCELLED"), "{}", state(&job));
        assert_eq!(world.counts(), counts(2), "one for the job that was stuck, one for the new one");
    }
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn killed_while_it_takes_the_job_back_it_cancels_it_once() {
    let world = World::new("fragmentation", &[]);
    let before = world.script();
    let (run, job) = treated(&world);
    let mut child = world
        .command(&["rollback", &run, "--yes", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let event: Value = serde_json::from_str(&line.expect("text")).expect("an event");
        if event["entry"]["type"] == "undo_intended" {
            break;
        }
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("is gone");
    let ran: Ran = world.run(&["rollback", &run, "--yes"]);
    assert_eq!(ran.status, Some(6), "{}", ran.stdout);
    assert!(state(&job).contains("CANCELLED"), "{}", state(&job));
    assert_eq!(world.script(), before);
    let cancelled = world.changes().into_iter().filter(|argv| argv.contains(&job)).count();
    assert_eq!(cancelled, 1, "{:?}", world.changes());
}
