//! A runbook that reads a log and edits a file, walked in every way.

use std::path::Path;

use serde_json::Value;

use super::bench::{Bench, Said};

pub(super) const OOM: &str = "[rank3]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has a total \
capacity of 79.10 GiB of which 417.19 MiB is free. Including non-PyTorch memory, this process has 78.68 GiB memory in \
use. Of the allocated memory 60.92 GiB is allocated by PyTorch, and 16.40 GiB is reserved by PyTorch but unallocated.\n";
const SCRIPT: &str = "#!/bin/bash\n#SBATCH --nodes=2\nexport OMP_NUM_THREADS=8\nsrun python train.py\n";

pub(super) fn bench(log: &str) -> Bench {
    let bench = Bench::new();
    bench.runbook("mend").write("train.err", log);
    bench.write("train.sbatch", SCRIPT);
    bench
}

const RUN: &[&str] = &["run", "mend", "--log", "train.err", "--script", "train.sbatch"];

pub(super) fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [RUN.to_vec(), args.to_vec()].concat()
}

fn edited(bench: &Bench) -> bool {
    match bench.read("train.sbatch") {
        text if text == SCRIPT => false,
        text if text.contains("export PYTORCH_ALLOC_CONF=expandable_segments:True") => true,
        text => panic!("{text}"),
    }
}

#[test]
fn without_a_terminal_a_change_waits_and_resume_goes_on() {
    let bench = bench(OOM);
    let parked = bench.run(RUN).exits(3);
    assert!(!edited(&bench));
    insta::assert_snapshot!(bench.redact(&parked.out));
    assert_eq!(parked.err, "");

    let run = bench.only_run();
    let again = bench.run(&["resume", &run]).exits(3);
    assert!(!edited(&bench) && again.out.contains("WAITING"));

    let resumed = bench.run(&["resume", &run, "--approve", "edit"]).exits(0);
    assert!(edited(&bench));
    insta::assert_snapshot!(bench.redact(&resumed.out));
    insta::assert_snapshot!(bench.redact(&bench.run(&["runs", "list"]).exits(0).out));
    insta::assert_snapshot!(bench.redact(&bench.run(&["runs", "show", &run]).exits(0).out));

    let journal = format!("state/runs/{run}/journal.jsonl");
    let before = bench.read(&journal);
    let over = bench.run(&["resume", &run]).exits(0);
    assert!(over.out.contains("RESOLVED"));
    assert_eq!(bench.read(&journal), before, "nothing is added to a run that is over");
}

#[test]
fn every_end_has_its_exit_code() {
    let code = |log: &str, args: &[&str]| bench(log).run(&with(args)).code;
    assert_eq!(code(OOM, &["--yes"]), Some(0));
    assert_eq!(code("epoch 1 loss 0.3\n", &["--yes"]), Some(0), "no action");
    assert_eq!(code("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.\n", &["--yes"]), Some(4));
    assert_eq!(code(OOM, &["--approve", "nothing"]), Some(2));
    assert_eq!(code(OOM, &["--frobnicate"]), Some(2));
    assert_eq!(bench(OOM).run(&["run", "mend", "--log", "train.err"]).code, Some(2), "an input is missing");
}

#[test]
fn options_may_stand_before_the_runbook() {
    let bench = bench(OOM);
    bench.run(&["run", "--yes", "mend", "--log", "train.err", "--script", "train.sbatch"]).exits(0);
    assert!(edited(&bench));
}

#[test]
fn a_runbook_has_its_own_help() {
    let bench = bench(OOM);
    insta::assert_snapshot!(bench.run(&["run", "mend", "--help"]).exits(0).out);
    assert_eq!(
        bench.run(&["run", "runbooks/mend", "--help"]).exits(0).out,
        bench.run(&["run", "mend", "--help"]).out
    );
}

#[test]
fn a_runbook_with_mistakes_is_not_run() {
    let bench = bench(OOM);
    let wrong = bench.read("runbooks/mend/runbook.yaml").replace("gpu_oom: edit", "gpu_oom: edti");
    bench.write("runbooks/mend/runbook.yaml", &wrong);
    let said = bench.run(&with(&["--yes"])).exits(2);
    assert!(
        said.err.contains("target::unknown") && said.err.contains("error:   mend does not check: 1 error")
    );
    assert!(!bench.path("state").exists());
    let findings = bench.run(&["check", "mend", "--json"]).exits(2).json();
    let first = &findings[0]["findings"][0];
    assert_eq!((&first["code"], &first["line"]), (&"target::unknown".into(), &18.into()));
}

#[test]
fn json_is_one_event_per_line_and_nothing_else() {
    let bench = bench(OOM);
    let said = bench.run(&with(&["--yes", "--json"])).exits(0);
    let events = said.json_lines();
    let durable: Vec<&Value> = events.iter().filter(|event| event["event"] == "recorded").collect();
    let types: Vec<&str> = durable.iter().map(|event| event["entry"]["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        ["started", "finished", "gate_opened", "gate_answered", "intended", "finished", "ended"]
    );
    assert_eq!(durable[3]["entry"]["via"], "--yes");
    assert!(said.err.contains("RESOLVED"), "people read standard error");

    let shown = bench.run(&["runs", "show", &bench.only_run(), "--json"]).exits(0).json();
    assert_eq!(shown["entries"].as_array().unwrap().len(), durable.len());
    assert_eq!(shown["entries"][2]["entry"], durable[2]["entry"], "the stream is what the journal holds");
    let list = bench.run(&["runs", "list", "--json"]).exits(0).json();
    let keys: Vec<&String> = list[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["run", "runbook", "state", "end", "target", "started"]);
    assert_eq!((&list[0]["state"], &list[0]["end"]), (&"ended".into(), &"resolved".into()));
}

#[test]
fn a_dry_run_shows_what_would_be_asked_and_changes_nothing() {
    let bench = bench(OOM);
    let said = bench.run(&with(&["--dry-run"])).exits(0);
    insta::assert_snapshot!(bench.redact(&said.out));
    assert!(!edited(&bench) && !bench.path("state").exists());
    let dry = bench.run(&with(&["-n", "--json"])).exits(0).json();
    assert_eq!((&dry["complete"], &dry["first"]["node"]), (&true.into(), &"error".into()));
    bench.run(&with(&["--dry-run", "--yes"])).exits(2);
}

#[test]
fn a_person_says_yes_after_looking() {
    let bench = bench(OOM);
    let mut terminal = bench.terminal(RUN);
    terminal.see("+export PYTORCH_ALLOC_CONF").see("Approve? [y]es / [n]o / [d]etails / [l]ater: ");
    // Enter alone is no answer.
    terminal.type_in("\n").see("Please type y, n, d or l.").see("Approve?");
    assert!(!edited(&bench));
    terminal.type_in("d\n").see("consent is bound to the digest").see("Approve?");
    terminal.type_in("y\n").see("approved by").see("RESOLVED");
    terminal.exits(0);
    assert!(edited(&bench));
}

#[test]
fn a_person_says_no_and_why() {
    let bench = bench(OOM);
    let mut terminal = bench.terminal(RUN);
    terminal.see("Approve?").type_in("n\n").see("Why not?").type_in("not during the demo\n");
    terminal.see("declined by").see("not during the demo").see("HELD");
    terminal.exits(5);
    assert!(!edited(&bench));
    let shown = bench.run(&["runs", "show", &bench.only_run()]).exits(0).out;
    assert!(shown.contains("not during the demo"), "{shown}");
}

#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    let bench = bench(OOM);
    let mut terminal = bench.terminal(RUN);
    terminal.type_in("y\ny\ny\n").see("Approve?");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!edited(&bench));
    terminal.type_in("l\n").see("WAITING");
    terminal.exits(3);
}

#[test]
fn the_end_of_input_is_no_answer() {
    let bench = bench(OOM);
    let mut terminal = bench.terminal(RUN);
    terminal.see("Approve?").type_in("\u{4}").see("WAITING").see("runbook resume");
    terminal.exits(3);
    assert!(!edited(&bench));
}

#[test]
fn a_card_that_nobody_sees_is_not_asked_about() {
    let bench = bench(OOM);
    // A keyboard alone is not enough: what would be consented to goes into a file.
    let (keyboard, _person) = super::bench::keyboard();
    let output = bench.command(RUN).stdin(keyboard).output().unwrap();
    Said::of(output).exits(3);
}

#[test]
fn a_reader_that_goes_away_does_not_stop_a_run() {
    let bench = bench(OOM);
    let mut child = bench.spawn(&with(&["--yes"]));
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(edited(&bench));
}

#[test]
fn one_step_by_itself() {
    let bench = bench(OOM);
    let read = bench.run(&["steps", "run", "oom.read", "--with", "logs=train.err", "--json"]).exits(0).json();
    assert_eq!(read["outcome"], "gpu_oom");
    assert_eq!(read["device"], 3);
    assert!(!bench.path("state").exists(), "what only reads leaves nothing behind");

    let script = format!("script={}", bench.path("train.sbatch").display());
    let edit = [
        "steps",
        "run",
        "launch.edit",
        "--with",
        &script,
        "--with",
        r#"set={"PYTORCH_ALLOC_CONF":"expandable_segments:True"}"#,
    ];
    let shown = bench.run(&[&edit[..], &["--dry-run"]].concat()).exits(0);
    assert!(shown.out.contains("+export PYTORCH_ALLOC_CONF") && !edited(&bench));
    bench.run(&edit).exits(3);
    assert!(!edited(&bench));
    let done = bench.run(&[&edit[..], &["--yes", "--json"]].concat()).exits(0).json();
    assert_eq!(done["outcome"], "edited");
    assert!(edited(&bench));

    bench.run(&["steps", "run", "oom.read", "--with", "nothing=1"]).exits(2);
    bench.run(&["steps", "run", "slurm.job", "--json"]).exits(2);
    let broke = bench.run(&["steps", "run", "slurm.job", "--with", "job=x;y", "--json"]).exits(5);
    assert_eq!(broke.out, "");
    assert!(broke.err.contains("HELD"), "{}", broke.err);
}

#[test]
fn runbooks_are_found_where_the_help_says() {
    let bench = bench(OOM);
    let list = |name: &str, value: &Path| {
        let output = bench.command(&["list", "--json"]).env(name, value).output().unwrap();
        Said::of(output).exits(0).json()
    };
    let names = |list: Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| row["runbook"].as_str().unwrap().to_owned()).collect()
    };
    bench.write("more/other/runbook.yaml", "title: x\n");
    bench.write("config/runbook/runbooks/own/runbook.yaml", "title: x\n");
    assert_eq!(names(list("NOTHING", Path::new("x"))), ["mend", "nccl-hang", "training-oom"]);
    assert_eq!(
        names(list("RUNBOOK_PATH", &bench.path("more"))),
        ["mend", "nccl-hang", "other", "training-oom"]
    );
    assert_eq!(
        names(list("XDG_CONFIG_HOME", &bench.path("config"))),
        ["mend", "nccl-hang", "own", "training-oom"]
    );
}

#[test]
fn a_dry_run_that_breaks_says_what_to_do_and_promises_nothing() {
    let bench = super::slurm::bench();
    std::fs::remove_file(bench.path("bin/scontrol")).unwrap();
    let mut command = bench.command(&["run", "stop", "--job", "1", "--dry-run"]);
    // This machine may have a Slurm of its own.
    command.env("PATH", bench.path("bin"));
    let said = Said::of(command.output().unwrap()).exits(5).out;
    assert!(said.contains("hint: Run this where Slurm's commands are installed"), "{said}");
    assert!(said.contains("As far as is shown, a real run would ask for no change."), "{said}");
}
