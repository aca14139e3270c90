//! A journal that cannot be written stops a run before the next effect, and the run goes on once it can be.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::bench::{Bench, Said};
use super::slurm::{bench, scancels};

const RUN: &[&str] = &["run", "mend-stop", "--job", "1", "--script", "train.sbatch", "--yes"];
const SCRIPT: &str = "#!/bin/bash\nsrun python train.py\n";

fn fresh() -> Bench {
    let bench = bench();
    bench.runbook("mend-stop").write("train.sbatch", SCRIPT);
    bench
}

/// The program with files that may not grow beyond so many bytes (prlimit(1) of util-linux).
fn limited(bench: &Bench, arguments: &[&str], bytes: usize) -> Said {
    let program = bench.command(arguments);
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={bytes}")).arg(program.get_program()).args(arguments);
    command.current_dir(bench.path("")).stdin(std::process::Stdio::null());
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Said::of(command.arg0("prlimit").output().unwrap())
}

#[test]
fn at_every_entry_it_stops_before_the_next_effect_and_goes_on_from_there() {
    let whole = fresh();
    whole.run(RUN).exits(0);
    let journal = whole.read(&format!("state/runs/{}/journal.jsonl", whole.only_run()));
    let mut ends = vec![0];
    ends.extend(journal.match_indices('\n').map(|(at, _)| at + 1));
    let (mut stopped, mut told) = (0, 0);
    for line in ends.windows(2) {
        // Half of a line is written.
        let bench = fresh();
        let said = limited(&bench, RUN, line[0].midpoint(line[1]));
        if said.code == Some(0) {
            continue; // its last lines were shorter this time
        }
        stopped += 1;
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        assert!(said.err.contains("File too large") && said.err.contains("ulimit -f"), "{}", said.err);
        let (edits, stops) = (bench.read("train.sbatch"), scancels(&bench));
        let again = if line[0] == 0 {
            assert_eq!(edits, SCRIPT);
            assert_eq!(std::fs::read_dir(bench.path("state/runs")).unwrap().count(), 0, "no run began");
            bench.run(RUN)
        } else {
            let run = bench.only_run();
            assert!(said.out.contains("STOPPED: the journal cannot be written"), "{}", said.out);
            assert!(said.out.contains(&format!("runbook resume {run}")), "{}", said.out);
            told += usize::from(said.out.contains("was carried out"));
            let torn = bench.run(&["runs", "verify", &run]);
            assert_eq!(torn.code, Some(0), "what was half written is cut off again: {}", torn.out);
            bench.run(&["resume", &run, "--yes"])
        };
        assert_eq!(again.code, Some(0), "stopped at {line:?}\n{}{}{}", said.out, again.out, again.err);
        let text = bench.read("train.sbatch");
        assert_eq!(text.matches("export FIRST=1").count(), 1, "{text}");
        assert_eq!(text.matches("export SECOND=2").count(), 1, "{text}");
        assert_eq!(scancels(&bench), 1, "stopped at {line:?}: {stops} before");
        bench.run(&["runs", "verify", &bench.only_run()]).exits(0);
    }
    assert!(stopped > 8, "a run has more entries than {stopped}");
    assert_eq!(told, 3, "each of three changes was made once when its answer could not be written");
}

#[test]
fn at_every_entry_of_a_rollback_it_stops_and_goes_on_from_there() {
    let done = || {
        let bench = fresh();
        bench.run(RUN).exits(0);
        bench
    };
    let back =
        |bench: &Bench| vec!["rollback".to_owned(), bench.only_run(), "--to=second".into(), "--yes".into()];
    let journal = |bench: &Bench| bench.read(&format!("state/runs/{}/journal.jsonl", bench.only_run()));
    let whole = done();
    let begin = journal(&whole).len();
    let arguments = back(&whole);
    whole.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).exits(0);
    let text = journal(&whole);
    let mut ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    ends.retain(|end| *end >= begin);
    let mut stopped = 0;
    for line in ends.windows(2) {
        let bench = done();
        let arguments = back(&bench);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let room = line[0].midpoint(line[1]) - begin;
        let said = limited(&bench, &arguments, journal(&bench).len() + room);
        if said.code == Some(0) {
            continue;
        }
        stopped += 1;
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        let again = bench.run(&arguments);
        assert_eq!(again.code, Some(0), "stopped at {line:?}\n{}{}{}", said.out, again.out, again.err);
        let text = bench.read("train.sbatch");
        assert!(text.contains("FIRST=1") && !text.contains("SECOND"), "{text}");
        bench.run(&["runs", "verify", &bench.only_run()]).exits(0);
        assert_eq!(scancels(&bench), 1);
    }
    assert!(stopped > 3, "{stopped}");
}

/// Runs this script on a file system of so many KiB at `state`, in a namespace of its own. `None` where none can be mounted.
#[expect(clippy::print_stderr, reason = "a test that was not run says so")]
fn on_a_disk_of(bench: &Bench, size: u32, script: &str) -> Option<Said> {
    let mount = "mkdir -p state && mount -t tmpfs -o size=$SIZE none state || { echo NO MOUNT; exit 0; }";
    let program = bench.command(RUN);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &format!("{mount}\n{script}")]);
    command.arg(program.get_program()).args(RUN).current_dir(bench.path(""));
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = Said::of(command.env("SIZE", format!("{size}k")).output().unwrap());
    let mounted = !said.out.contains("NO MOUNT") && said.out.contains("first");
    if !mounted {
        eprintln!("SKIPPED: no file system can be mounted here: {}", said.err);
    }
    mounted.then_some(said)
}

#[test]
fn on_a_full_disk_it_stops_and_goes_on_after_room_was_made() {
    let script = r#"
        "$0" "$@"; echo "first $?"
        run=$(ls state/runs)
        [ -n "$run" ] || { echo "no run"; exit 0; }
        mount -o remount,size=4m state
        "$0" resume "$run" --yes; echo "second $?"
        "$0" runs verify "$run"; echo "third $?"
    "#;
    let mut stopped = 0;
    for size in (8..64).step_by(4) {
        let bench = fresh();
        let Some(said) = on_a_disk_of(&bench, size, script) else { return };
        if said.out.contains("first 0") {
            break;
        }
        assert!(said.err.contains("No space left"), "{}{}", said.out, said.err);
        if said.out.contains("no run") {
            assert_eq!((bench.read("train.sbatch").as_str(), scancels(&bench)), (SCRIPT, 0));
            continue;
        }
        stopped += 1;
        assert!(said.err.contains("make room on the file system"), "{}", said.err);
        assert!(said.out.contains("second 0") && said.out.contains("third 0"), "{}{}", said.out, said.err);
        assert_eq!(scancels(&bench), 1, "{size}");
        assert_eq!(bench.read("train.sbatch").matches("SECOND=2").count(), 1, "{size}");
    }
    assert!(stopped > 0, "no disk was full in the middle of a run");
}

#[test]
fn where_it_became_read_only_nothing_is_done() {
    let bench = fresh();
    let script = r#"
        "$0" run mend-stop --job 1 --script train.sbatch; echo "first $?"
        run=$(ls state/runs)
        mount -o remount,ro state
        "$0" resume "$run" --yes; echo "second $?"
        cp train.sbatch seen; cp scancelled seen-scancels 2> /dev/null
        mount -o remount,rw state
        "$0" resume "$run" --yes; echo "third $?"
    "#;
    let Some(said) = on_a_disk_of(&bench, 4096, script) else { return };
    assert!(said.out.contains("first 3") && said.out.contains("second 1"), "{}{}", said.out, said.err);
    assert!(said.words().contains("is mounted read-only"), "{}", said.err);
    assert_eq!((bench.read("seen").as_str(), bench.read("seen-scancels").as_str()), (SCRIPT, ""));
    assert!(said.out.contains("third 0"), "{}{}", said.out, said.err);
    assert_eq!(scancels(&bench), 1);
}

#[test]
fn where_no_journal_can_be_made_nothing_is_begun() {
    let bench = fresh();
    // A file stands where the directory would be.
    bench.write("state/runs", "");
    let said = bench.run(RUN).exits(1).words();
    assert!(said.contains("cannot make") && said.contains("nothing is done without a journal"), "{said}");
    assert_eq!((bench.read("train.sbatch").as_str(), scancels(&bench)), (SCRIPT, 0));
}
