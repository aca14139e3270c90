//! A real run, recorded, and the same again with nothing real.

use super::bench::Bench;
use super::slurm::{bench, scancels};

/// A recording of a run that stopped job 1.
fn recorded() -> (Bench, String) {
    let bench = bench();
    bench.run(&["run", "stop", "--job", "1", "--yes", "--record", "incident.yaml"]).exits(0);
    assert_eq!(scancels(&bench), 1);
    let recording = bench.read("incident.yaml");
    (bench, recording)
}

#[test]
fn a_recorded_run_can_be_rehearsed_where_nothing_is_real() {
    let (_, recording) = recorded();
    let bench = Bench::new();
    bench.runbook("stop").write("incident.yaml", &recording);
    let said = bench.run(&["rehearse", "stop", "--recording", "incident.yaml"]).exits(0);
    insta::assert_snapshot!(bench.redact(&said.out));
    assert!(!bench.path("state").exists(), "a rehearsal keeps no journal unless asked");

    // Beside the runbook it is found by its name, and without a name the first is taken.
    bench.write("runbooks/stop/rehearsals/released.yaml", &recording);
    bench.run(&["rehearse", "stop"]).exits(0);
    bench.run(&["rehearse", "stop", "--recording", "released"]).exits(0);
    let other = bench.run(&["rehearse", "stop", "--recording", "stuck"]).exits(2);
    assert!(other.err.contains("it has released"), "{}", other.err);
    let events = bench.run(&["rehearse", "stop", "--json"]).exits(0).json_lines();
    assert_eq!(events[0]["entry"]["mode"]["rehearsal"]["recording"], "released");
    assert_eq!(events[0]["entry"]["inputs"]["job"], "1", "inputs come from the recording");
}

#[test]
fn what_the_recording_does_not_hold_breaks_the_rehearsal() {
    let (_, recording) = recorded();
    let bench = Bench::new();
    bench.runbook("stop").write("incident.yaml", &recording);
    let said = bench.run(&["rehearse", "stop", "--recording", "incident.yaml", "--job", "2"]).exits(5);
    assert!(said.out.contains("HELD") && !said.out.contains("runbook resume"), "{}", said.out);
    bench.write("incident.yaml", "recording: 99\nclock: 2026-01-01T00:00:00Z\nexchanges: []\n");
    bench.run(&["rehearse", "stop", "--recording", "incident.yaml"]).exits(2);
    bench.run(&["rehearse", "stop"]).exits(2);
}

#[test]
fn a_kept_rehearsal_is_listed_and_not_resumed() {
    let (bench, _) = recorded();
    let before = bench.only_run();
    bench.run(&["rehearse", "stop", "--recording", "incident.yaml", "--keep"]).exits(0);
    let list = bench.run(&["runs", "list", "--json"]).exits(0).json();
    let runs: Vec<&str> = list.as_array().unwrap().iter().map(|row| row["run"].as_str().unwrap()).collect();
    let kept = runs.iter().find(|run| **run != before).unwrap();
    assert!(bench.run(&["runs", "show", kept]).exits(0).out.contains("REHEARSAL"));
    bench.run(&["resume", kept]).exits(2);
    assert_eq!(scancels(&bench), 1);
}

#[test]
fn step_by_step_at_a_terminal() {
    let (bench, _) = recorded();
    let mut terminal = bench.terminal(&["rehearse", "stop", "--recording", "incident.yaml", "--step"]);
    terminal.see("next: What Slurm knows of it  (Enter: go on, q: stop) ").type_in("\n");
    terminal.see("next: scancel job  (Enter").type_in("\n").see("(rehearsal)").see("RESOLVED");
    terminal.exits(0);
    let mut stopped = bench.terminal(&["rehearse", "stop", "--recording", "incident.yaml", "--step"]);
    stopped.see("next: What Slurm knows of it").type_in("\n").see("next: scancel job").type_in("q\n");
    stopped.see("INTERRUPTED");
    stopped.exits(130);
}

#[test]
fn a_recording_holds_what_happened_until_the_run_was_killed() {
    let bench = bench();
    bench.write("slow-change", "");
    let mut child = bench.spawn(&["run", "stop", "--job", "1", "--yes", "--record", "incident.yaml"]);
    bench.wait_for("cancelling");
    child.kill().unwrap();
    child.wait().unwrap();
    let said = bench.run(&["rehearse", "stop", "--recording", "incident.yaml", "--json"]).exits(5);
    let outcomes: Vec<_> =
        said.json_lines().into_iter().map(|event| event["entry"]["outcome"].clone()).collect();
    assert!(outcomes.contains(&"found".into()), "what was read before is there: {outcomes:?}");
    assert!(said.out.contains("the recording has no `scancel"), "{}", said.out);
}

#[test]
fn a_recording_goes_on_with_the_run() {
    let bench = super::slurm::bench();
    let parked = bench.run(&["run", "stop", "--job", "1", "--record", "incident.yaml"]).exits(3);
    let run = bench.only_run();
    let hint = format!("the recording goes on with: runbook resume {run} --record incident.yaml");
    assert!(parked.err.contains(&hint), "{}", parked.err);
    bench.run(&["rehearse", "stop", "--recording", "incident.yaml"]).exits(5);

    let resume = |file: &str| bench.run(&["resume", &run, "--yes", "--record", file]);
    let said = resume("other.yaml").exits(2);
    assert!(said.err.contains("a recording begins with the run"), "{}", said.err);
    bench.write(
        "other.yaml",
        &bench.read("incident.yaml").replacen("job: '1'", "job: '2'", 1).replacen(
            "job: \"1\"",
            "job: '2'",
            1,
        ),
    );
    let said = resume("other.yaml").exits(2);
    assert!(said.err.contains("is of a run with other inputs"), "{}", said.err);
    assert_eq!(scancels(&bench), 0);

    let said = resume("incident.yaml").exits(0);
    assert!(!said.err.contains("goes on with"), "{}", said.err);
    let recording = bench.read("incident.yaml");
    let elsewhere = Bench::new();
    elsewhere.runbook("stop").write("incident.yaml", &recording);
    elsewhere.run(&["rehearse", "stop", "--recording", "incident.yaml"]).exits(0);
}

#[test]
fn a_recording_that_cannot_be_written_is_known_before_the_first_step() {
    let bench = bench();
    bench.run(&["run", "stop", "--job", "1", "--yes", "--record", "nowhere/incident.yaml"]).exits(1);
    assert_eq!(scancels(&bench), 0);
    assert!(!bench.path("state").exists());
}

#[test]
fn every_rehearsal_that_ships_ends_resolved_from_the_binary_alone() {
    let bench = Bench::new();
    for (runbook, recording, rounds) in [
        ("training-oom", "fragmentation", 1),
        ("training-oom", "true-oom", 2),
        ("nccl-hang", "bad-node", 1),
        ("nccl-hang", "tcp-fallback", 1),
    ] {
        let said = bench.run(&["rehearse", runbook, "--recording", recording, "--json"]).exits(0);
        let entries: Vec<_> = said.json_lines().into_iter().map(|event| event["entry"].clone()).collect();
        let submitted = entries.iter().filter(|entry| entry["outcome"] == "submitted").count();
        assert_eq!(submitted, rounds, "{recording}");
        let end = entries.iter().find(|entry| entry["type"] == "ended").unwrap();
        assert_eq!((&end["end"], &end["node"]), (&"resolved".into(), &"done".into()), "{recording}");
    }
}

#[test]
fn every_example_can_be_tried() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    assert!(!folders.is_empty());
    let bench = Bench::new();
    for folder in &folders {
        let path = folder.to_str().unwrap();
        bench.run(&["check", path]).exits(0);
        let said = bench.run(&["rehearse", path]).exits(0);
        assert!(said.out.contains("RESOLVED"), "{}", said.out);
    }
}
