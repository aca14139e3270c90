//! Runs that are cut off: by a signal, a crash, a lost terminal, another run.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use super::bench::{Bench, Said, signal};
use super::slurm::{bench, scancels};

const RUN: &[&str] = &["run", "stop", "--job", "1"];
const RUN_YES: &[&str] = &["run", "stop", "--job", "1", "--yes"];

fn ended(child: Child) -> Said {
    Said::of(child.wait_with_output().unwrap())
}

fn resume(bench: &Bench, args: &[&str]) -> Said {
    let run = bench.only_run();
    bench.run(&[&["resume", &run][..], args].concat())
}

/// A run whose process is killed when `scancel` has done its work and has not yet come back.
fn killed_while_it_cancels(bench: &Bench) {
    bench.write("slow-change", "");
    let mut child = bench.spawn(RUN_YES);
    bench.wait_for("cancelling");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn ctrl_c_during_a_read_stops_at_once_and_the_run_can_be_resumed() {
    let bench = bench();
    bench.write("slow-read", "");
    let child = bench.spawn(RUN_YES);
    bench.wait_for("reading");
    let begin = Instant::now();
    signal(child.id(), Signal::INT);
    let said = ended(child).exits(130);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(
        said.out.contains("INTERRUPTED")
            && said.out.contains(&format!("runbook resume {}", bench.only_run()))
    );

    std::fs::remove_file(bench.path("slow-read")).unwrap();
    resume(&bench, &[]).exits(3);
    assert_eq!(scancels(&bench), 0);
    resume(&bench, &["--yes"]).exits(0);
    assert_eq!(scancels(&bench), 1);
}

#[test]
fn ctrl_c_during_a_change_brings_it_to_its_end_first() {
    for kind in [Signal::INT, Signal::TERM, Signal::HUP] {
        let bench = bench();
        bench.write("slow-change", "");
        let child = bench.spawn(RUN_YES);
        bench.wait_for("cancelling");
        signal(child.id(), kind);
        let said = ended(child).exits(130);
        assert!(
            said.out.contains("scancel job → released")
                && said.out.contains("stopping at the next safe point")
        );
        resume(&bench, &[]).exits(0);
        assert_eq!(scancels(&bench), 1);
    }
}

#[test]
fn a_second_ctrl_c_ends_it_at_once_and_resume_looks_what_happened() {
    let bench = bench();
    bench.write("slow-change", "");
    let mut terminal = bench.terminal(RUN_YES);
    bench.wait_for("cancelling");
    signal(terminal.pid(), Signal::INT);
    terminal.see("stopping at the next safe point");
    signal(terminal.pid(), Signal::INT);
    terminal.see("interrupted; go on with: runbook resume");
    terminal.exits(130);
    let said = resume(&bench, &[]).exits(0);
    assert!(said.out.contains("it had happened already (probe)"), "{}", said.out);
    assert_eq!(scancels(&bench), 1);
}

#[test]
fn killed_during_a_change_that_happened_it_is_not_repeated() {
    let bench = bench();
    killed_while_it_cancels(&bench);
    let list = bench.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!(list[0]["state"], "interrupted");
    let said = resume(&bench, &[]).exits(0);
    insta::assert_snapshot!(bench.redact(&said.out));
    assert_eq!(scancels(&bench), 1);
}

#[test]
fn killed_during_a_change_that_did_not_happen_it_is_asked_again() {
    let bench = bench();
    bench.write("scancel-is-lost", "");
    killed_while_it_cancels(&bench);
    std::fs::remove_file(bench.path("scancel-is-lost")).unwrap();
    std::fs::remove_file(bench.path("slow-change")).unwrap();
    let said = resume(&bench, &[]).exits(3);
    assert!(said.out.contains("it did not happen (probe)"), "{}", said.out);
    assert_eq!(scancels(&bench), 1);
    resume(&bench, &["--yes"]).exits(0);
    assert_eq!(scancels(&bench), 2);
}

#[test]
fn a_lost_terminal_does_not_cut_a_change_short() {
    let bench = bench();
    bench.write("slow-change", "");
    let terminal = bench.terminal(RUN_YES);
    bench.wait_for("cancelling");
    let pid = terminal.pid();
    let mut child = terminal.hang_up();
    signal(pid, Signal::HUP);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    resume(&bench, &[]).exits(0);
    assert_eq!(scancels(&bench), 1);
}

#[test]
fn under_nohup_a_lost_terminal_is_nothing_to_mind() {
    let bench = bench();
    bench.write("slow-change", "");
    let program = bench.command(&[]);
    let mut nohup = std::process::Command::new("nohup");
    nohup
        .arg(program.get_program())
        .args(RUN_YES)
        .current_dir(bench.path(""))
        .stdin(std::process::Stdio::null());
    nohup.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let child =
        nohup.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    bench.wait_for("cancelling");
    signal(child.id(), Signal::HUP);
    ended(child).exits(0);
}

#[test]
fn ctrl_c_at_a_gate_leaves_it_open() {
    let bench = bench();
    let mut terminal = bench.terminal(RUN);
    terminal.see("scancel 1").see("Approve?");
    signal(terminal.pid(), Signal::INT);
    terminal.see("INTERRUPTED");
    terminal.exits(130);
    assert_eq!(scancels(&bench), 0);
    resume(&bench, &[]).exits(3);
}

#[test]
fn two_runs_never_treat_one_target_and_two_processes_never_walk_one_run() {
    let bench = bench();
    bench.write("slow-change", "");
    let child = bench.spawn(RUN_YES);
    bench.wait_for("cancelling");
    let run = bench.only_run();
    let other = bench.run(RUN_YES).exits(7);
    assert!(other.err.contains("works on job/1:"), "{}", other.err);
    let same = bench.run(&["resume", &run]).exits(7);
    assert!(same.err.contains("is being walked by another process"), "{}", same.err);
    let list = bench.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!(list[0]["state"], "running");
    ended(child).exits(0);
    assert_eq!(scancels(&bench), 1);
}

#[test]
fn a_run_that_was_left_open_is_pointed_out() {
    let bench = bench();
    bench.run(RUN).exits(3);
    let open = bench.only_run();
    let said = bench.run(RUN).exits(3);
    assert!(
        said.out.contains(&format!("note: {open} about job 1 was left open: runbook resume {open}")),
        "{}",
        said.out
    );
}

#[test]
fn a_journal_that_was_tampered_with_is_not_continued() {
    let bench = bench();
    bench.run(RUN).exits(3);
    let run = bench.only_run();
    let journal = format!("state/runs/{run}/journal.jsonl");
    let text = bench.read(&journal).replacen("\"job\":\"1\"", "\"job\":\"2\"", 1);
    bench.write(&journal, &text);
    let said = resume(&bench, &["--yes"]).exits(1);
    assert!(said.err.contains("does not follow the"), "{}", said.err);
    assert_eq!(scancels(&bench), 0);
}

/// Keeps what a killed process had open locked, as a child does that it was about to start.
fn locked(bench: &Bench) -> Vec<std::fs::File> {
    let run = bench.path(&format!("state/runs/{}/lock", bench.only_run()));
    let target = std::fs::read_dir(bench.path("state/locks")).unwrap().next().unwrap().unwrap().path();
    let lease = std::fs::read_dir(target).unwrap().next().unwrap().unwrap().path();
    let lock = |path| {
        let file = std::fs::File::open(path).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        file
    };
    [run, lease].into_iter().map(lock).collect()
}

#[test]
fn a_run_is_gone_on_with_at_once_after_its_process_was_killed() {
    let bench = bench();
    killed_while_it_cancels(&bench);
    let_go_soon(locked(&bench), || drop(resume(&bench, &["--yes"]).exits(0)));
    assert_eq!(scancels(&bench), 1);
}

#[test]
fn a_target_is_taken_at_once_after_the_process_that_had_it_was_killed() {
    let bench = bench();
    killed_while_it_cancels(&bench);
    let said = |said: Said| assert!(said.out.contains("was left open: runbook resume"), "{}", said.out);
    let locks = locked(&bench);
    std::fs::write(bench.path("job-state"), "RUNNING\n").unwrap();
    let_go_soon(locks, || said(bench.run(RUN).exits(3)));
}

/// Lets go of locks one after the other while `meanwhile` goes on.
fn let_go_soon(locks: Vec<std::fs::File>, meanwhile: impl FnOnce()) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for lock in locks {
                std::thread::sleep(Duration::from_millis(300));
                drop(lock);
            }
        });
        meanwhile();
    });
}
