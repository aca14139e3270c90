//! The process dies in the middle; nothing is done twice.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::kit::World;

/// Kills the program when it has written an entry of this type for this node, then resumes the run.
fn kill_at(node: &str, kind: &str) {
    let world = World::new("fragmentation", &[]);
    let fixed = ["run", "training-oom", "--job", &world.job, "--watch", "3m", "--yes", "--json"];
    let mut child =
        world.command(&fixed).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut run = String::new();
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let event: Value = serde_json::from_str(&line.expect("text")).expect("an event");
        let entry = &event["entry"];
        if entry["type"] == "started" {
            entry["run"].as_str().expect("an id").clone_into(&mut run);
        }
        if entry["type"] == kind && entry["node"] == node {
            break;
        }
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("is gone");
    let ran = world.run(&["resume", &run, "--yes", "--json"]);
    assert_eq!(ran.status, Some(0), "killed at {kind} of {node}: {}", ran.stderr);
    let counts = [("sbatch".to_owned(), 1), ("scancel".to_owned(), 1)].into();
    assert_eq!(world.counts(), counts, "killed at {kind} of {node}");
    let exports = world.script().lines().filter(|line| line.contains("ALLOC_CONF")).count();
    assert_eq!(exports, 2, "killed at {kind} of {node}");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn killed_after_the_intent_to_cancel() {
    kill_at("stop", "intended");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn killed_after_the_edit() {
    kill_at("fix_allocator", "finished");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn killed_after_the_intent_to_submit() {
    kill_at("relaunch", "intended");
}
