//! A journal that is told again, beside what was said while it was written.

use super::bench::Bench;
use super::walk::{OOM, bench, with};

/// What was said of entries; what only says how far a step is may be dropped.
fn recorded(out: &str) -> Vec<&str> {
    out.lines().filter(|line| line.starts_with(r#"{"event":"recorded""#)).collect()
}

fn again(bench: &Bench, run: &str, args: &[&str]) -> String {
    bench.run(&[&["runs", "show", run, "--events"], args].concat()).exits(0).out
}

#[test]
fn it_says_to_people_what_the_run_said() {
    for (args, code) in [(&["--yes"][..], 0), (&[], 3)] {
        let bench = bench(OOM);
        let live = bench.run(&with(args)).exits(code);
        assert_eq!(again(&bench, &bench.only_run(), &[]), live.out);
    }
    let bench = bench("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.\n");
    let live = bench.run(&with(&["--yes"])).exits(4);
    assert_eq!(again(&bench, &bench.only_run(), &[]), live.out);
}

#[test]
fn it_says_to_programs_what_all_processes_of_the_run_said() {
    let bench = bench(OOM);
    let parked = bench.run(&with(&["--json"])).exits(3);
    let run = bench.only_run();
    let resumed = bench.run(&["resume", &run, "--approve", "edit", "--json"]).exits(0);
    let back = bench.run(&["rollback", &run, "--yes", "--json"]).exits(0);
    let replay = again(&bench, &run, &["--json"]);
    let live = [&parked.out, &resumed.out, &back.out].map(|out| recorded(out)).concat();
    assert!(live.len() > 15, "{live:#?}");
    assert_eq!(replay.lines().collect::<Vec<_>>(), live);
}

#[test]
fn a_held_run_and_a_rehearsal_end_with_the_same_words() {
    let bench = bench(OOM);
    bench.write("train.sbatch", "no script");
    std::fs::remove_file(bench.path("train.sbatch")).unwrap();
    let held = bench.run(&with(&["--yes"]));
    assert!(matches!(held.code, Some(4 | 5)), "{held:?}");
    assert_eq!(again(&bench, &bench.only_run(), &[]), held.out);

    let bench = Bench::new();
    let live = bench.run(&["rehearse", "training-oom", "--keep"]).exits(0);
    assert_eq!(again(&bench, &bench.only_run(), &[]), live.out);
    let live = bench.run(&["rehearse", "training-oom", "--keep", "--json"]).exits(0);
    let runs = bench.run(&["runs", "list", "--json"]).exits(0).json();
    let run = live.json_lines()[0]["entry"]["run"].as_str().unwrap().to_owned();
    assert_eq!(runs.as_array().unwrap().len(), 2);
    assert_eq!(again(&bench, &run, &["--json"]).lines().collect::<Vec<_>>(), recorded(&live.out));
}
