//! The process dies in the middle; nothing is done twice.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
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
    goes_on(&world, &run, &format!("killed at {kind} of {node}"));
}

/// The run that was killed is taken up: it comes to its end, and every change was made once.
fn goes_on(world: &World, run: &str, how: &str) {
    let ran = world.run(&["resume", run, "--yes", "--json"]);
    assert_eq!(ran.status, Some(0), "{how}: {}", ran.stderr);
    let counts = [("sbatch".to_owned(), 1), ("scancel".to_owned(), 1)].into();
    assert_eq!(world.counts(), counts, "{how}");
    let exports = world.script().lines().filter(|line| line.contains("ALLOC_CONF")).count();
    assert_eq!(exports, 2, "{how}");
}

/// The program is killed by the very command that it gives: before the order goes out, or when it was carried out and
/// before the answer arrives.
fn killed_by(program: &str, order: bool) {
    let how = format!("killed {} {program}", if order { "after" } else { "before" });
    let world = World::new("fragmentation", &[]);
    let wrappers = world.dir.join(".killer");
    let wrapper = wrappers.join(program);
    let killed = wrappers.join("killed");
    let carry_out = if order { format!("{program} \"$@\"") } else { String::new() };
    let script = format!(
        "#!/bin/sh\nPATH=${{PATH#*:}}\ncase \"$*\" in *--test-only*) exec {program} \"$@\" ;; esac\n\
         if [ -e {killed} ]; then exec {program} \"$@\"; fi\n: > {killed}\n{carry_out}\nkill -9 $PPID\n",
        killed = killed.display()
    );
    fs::create_dir(&wrappers).expect("a new directory");
    fs::write(&wrapper, script).expect("written");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("executable");

    let mut command =
        world.command(&["run", "training-oom", "--job", &world.job, "--watch", "3m", "--yes", "--json"]);
    let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
    let path = format!("{}:{}", wrappers.display(), path.expect("a PATH").to_string_lossy());
    let output = command.env("PATH", path).output().expect("runs");
    assert_eq!(output.status.signal(), Some(9), "{how}: it lived");
    assert!(killed.exists(), "{how}: something else killed it");
    let counted = world.counts().get(program).copied().unwrap_or(0);
    assert_eq!(counted, usize::from(order), "{how}");
    let first: Value =
        serde_json::from_slice(output.stdout.split(|byte| *byte == b'\n').next().expect("a line"))
            .expect("an event");
    goes_on(&world, first["entry"]["run"].as_str().expect("an id"), &how);
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

#[test]
#[ignore = "needs tests/cluster/up"]
fn killed_after_the_intent_to_edit() {
    kill_at("fix_allocator", "intended");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn killed_right_before_and_right_after_an_order() {
    for program in ["scancel", "sbatch"] {
        for order in [false, true] {
            killed_by(program, order);
        }
    }
}
