//! Two runs about one job: who waits, who may take over, and what becomes of the one that is fenced off.

use rustix::process::Signal;

use super::bench::{Bench, Said, Terminal, signal};
use super::slurm::{bench, scancels};

const RUN: &[&str] = &["run", "stop", "--job", "1"];

/// A run that stands at its gate at a terminal.
fn at_its_gate(bench: &Bench) -> (Terminal, String) {
    let mut terminal = bench.terminal(RUN);
    terminal.see("Approve?");
    (terminal, bench.only_run())
}

fn over(run: &str) -> Vec<&str> {
    [RUN, &["--take-over", run]].concat()
}

fn shown(bench: &Bench, but: &str) -> Said {
    let list = bench.run(&["runs", "list", "--json"]).exits(0).json();
    let runs = list.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap());
    let other: Vec<&str> = runs.filter(|run| *run != but).collect();
    assert_eq!(other.len(), 1, "{list}");
    bench.run(&["runs", "show", other[0]]).exits(0)
}

#[test]
fn whoever_comes_second_is_told_who_has_it_and_what_to_do() {
    let bench = bench();
    let (mut first, run) = at_its_gate(&bench);
    let said = bench.run(RUN).exits(7);
    for part in [
        format!("run {run} works on job/1: "),
        format!("pid {} on ", first.pid()),
        format!("runbook runs show {run}"),
        format!("--take-over {run}"),
    ] {
        assert!(said.err.replace("\n      ", " ").contains(&part), "{part} is not in {}", said.err);
    }
    // Without a person nothing is taken over, and naming another run takes nothing over either.
    bench.run(&over(&run)).exits(7);
    bench.run(&over("20261124-031244-k7f2")).exits(7);
    first.type_in("y\n").see("released");
    first.exits(0);
    assert_eq!(scancels(&bench), 1);
    bench.only_run();
}

#[test]
fn a_paused_run_that_was_taken_over_is_fenced_off_when_it_wakes_up() {
    let bench = bench();
    let (mut first, run) = at_its_gate(&bench);
    signal(first.pid(), Signal::STOP);
    let mut second = bench.terminal(&over(&run));
    second
        .see(&format!("Take job/1 over from run {run}"))
        .see(&format!("run {run} has it: "))
        .see("Approve?");
    second.type_in("y\n").see("scancel 1").see("Approve?").type_in("l\n").see("WAITING");
    second.exits(3);
    let said = shown(&bench, &run);
    assert!(said.out.contains(&format!("job/1 was taken over from run {run}")), "{}", said.out);

    signal(first.pid(), Signal::CONT);
    first.type_in("y\n").see("has taken job/1 over");
    first.exits(5);
    assert_eq!(scancels(&bench), 0, "its change was not made");
}

#[test]
fn what_a_killed_run_held_is_free_and_the_journal_says_so() {
    let bench = bench();
    let (first, run) = at_its_gate(&bench);
    signal(first.pid(), Signal::KILL);
    drop(first);
    let said = bench.run(&[RUN, &["--yes"]].concat()).exits(0);
    assert!(said.out.contains(&format!("note: {run} about job 1 was left open")), "{}", said.out);
    assert!(said.out.contains("its process is gone"), "{}", said.out);
    assert_eq!(scancels(&bench), 1);
}
