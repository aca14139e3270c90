//! `runbook rollback`: what a run changed is taken back.

use super::bench::{Bench, Said};
use super::slurm::{bench, scancels};

const SCRIPT: &str = "#!/bin/bash\nsrun python train.py\n";

/// A run that edited a script, stopped a job and edited the script again.
fn done() -> Bench {
    let bench = bench();
    bench.runbook("mend-stop").write("train.sbatch", SCRIPT);
    bench.run(&["run", "mend-stop", "--job", "1", "--script", "train.sbatch", "--yes"]).exits(0);
    assert!(bench.read("train.sbatch").contains("SECOND=2"));
    bench
}

fn rollback(bench: &Bench, args: &[&str]) -> Said {
    let run = bench.only_run();
    bench.run(&[&["rollback", &run][..], args].concat())
}

#[test]
fn it_shows_each_step_back_and_stops_at_a_point_of_no_return() {
    let bench = done();
    let edited = bench.read("train.sbatch");
    let shown = rollback(&bench, &["--dry-run"]).exits(6);
    insta::assert_snapshot!(bench.redact(&shown.out));
    let rows = rollback(&bench, &["--dry-run", "--json"]).exits(6).json();
    assert_eq!((&rows[0]["undo"], &rows[1]["undo"]), (&"would".into(), &"cannot".into()));
    assert_eq!(bench.read("train.sbatch"), edited, "a dry run changes nothing");

    let parked = rollback(&bench, &[]).exits(3);
    assert!(parked.out.contains("Take back: Set the second variable"), "{}", parked.out);
    assert!(parked.out.contains("-export SECOND=2"), "the gate shows the exact edit: {}", parked.out);
    assert_eq!(bench.read("train.sbatch"), edited);

    let stopped = rollback(&bench, &["--yes"]).exits(6);
    insta::assert_snapshot!(bench.redact(&stopped.out));
    let text = bench.read("train.sbatch");
    assert!(text.contains("FIRST=1") && !text.contains("SECOND"), "{text}");
    let list = bench.run(&["runs", "list"]).exits(0).out;
    assert!(list.contains("stuck"), "{list}");

    let left = rollback(&bench, &["--yes", "--leave", "stop"]).exits(0);
    insta::assert_snapshot!(bench.redact(&left.out));
    assert_eq!(bench.read("train.sbatch"), SCRIPT);
    let list = bench.run(&["runs", "list"]).exits(0).out;
    assert!(list.contains("rolled back"), "{list}");
    assert_eq!(bench.run(&["runs", "list", "--json"]).exits(0).json()[0]["state"], "rolled_back");

    let journal = format!("state/runs/{}/journal.jsonl", bench.only_run());
    let before = bench.read(&journal);
    let again = rollback(&bench, &["--yes"]).exits(0);
    assert!(again.out.contains("Nothing to take back"), "{}", again.out);
    let resumed = bench.run(&["resume", &bench.only_run()]).exits(0);
    assert!(resumed.out.contains("ROLLED BACK"), "{}", resumed.out);
    assert_eq!(bench.read(&journal), before, "nothing is added to a run that was taken back");
    assert_eq!(scancels(&bench), 1);
    bench.run(&["runs", "verify", &bench.only_run()]).exits(0);
}

#[test]
fn it_goes_back_only_as_far_as_it_is_told() {
    let bench = done();
    rollback(&bench, &["--to", "second", "--yes"]).exits(0);
    let text = bench.read("train.sbatch");
    assert!(text.contains("FIRST=1") && !text.contains("SECOND"), "{text}");
    let wrong = rollback(&bench, &["--to", "thrid"]).exits(2);
    assert!(wrong.err.contains("it did at: second, stop, first"), "{}", wrong.err);
}

#[test]
fn a_file_that_somebody_edited_since_is_left_alone_until_it_is_mended() {
    let bench = done();
    let ours = bench.read("train.sbatch");
    bench.write("train.sbatch", &format!("{ours}# somebody else's\n"));
    let stuck = rollback(&bench, &["--yes"]).exits(6);
    assert!(
        stuck.out.contains("STUCK") && stuck.out.contains("edited by someone else since"),
        "{}",
        stuck.out
    );
    let theirs = bench.read("train.sbatch");
    assert!(theirs.contains("SECOND=2") && theirs.contains("somebody else's"));
    bench.write("train.sbatch", &ours);
    rollback(&bench, &["--yes", "--to", "second"]).exits(0);
    assert!(!bench.read("train.sbatch").contains("SECOND"));
}

#[test]
fn a_run_that_changed_nothing_has_nothing_to_take_back() {
    let bench = bench();
    bench.run(&["run", "stop", "--job", "1"]).exits(3);
    let said = rollback(&bench, &[]).exits(0);
    assert!(said.out.contains("Nothing to take back"), "{}", said.out);
    let run = bench.only_run();
    bench.run(&["resume", &run, "--yes"]).exits(0);
    assert_eq!(scancels(&bench), 1, "it goes on as if nobody had asked");
}
