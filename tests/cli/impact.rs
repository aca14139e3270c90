//! What an edit of a runbook does to what was recorded.

use serde_json::{Value, json};

use super::bench::Bench;
use super::slurm::bench;

const RUNBOOK: &str = "runbooks/stop/runbook.yaml";

/// A bench on which job 1 was stopped, with the run's journal, a recording of it and a scenario.
fn recorded() -> Bench {
    let bench = bench();
    bench.run(&["run", "stop", "--job", "1", "--yes", "--record", "released.yaml"]).exits(0);
    let recording = bench.read("released.yaml");
    bench.write("runbooks/stop/rehearsals/worlds/released.yaml", &recording);
    bench.write(
        "runbooks/stop/rehearsals/denied.yaml",
        "scenario: denied\nrecording: worlds/released\nfaults:\n\
         - { on: scancel 1, exit: 1, stderr: \"scancel: error: Kill job error on job id 1: Access/permission denied\" }\n\
         expect: { path: [job:found, stop:denied, by_hand] }\n",
    );
    bench
}

fn edit(bench: &Bench, from: &str, to: &str) {
    let text = bench.read(RUNBOOK);
    assert!(text.contains(from), "{text}");
    bench.write(RUNBOOK, &text.replace(from, to));
}

/// What is said of the run and of the scenario: after, then, now.
fn rows(bench: &Bench, code: i32) -> [Value; 2] {
    let rows = bench.run(&["impact", "stop", "--json"]).exits(code).json();
    let parts = |kind: &str| {
        let all = rows.as_array().unwrap();
        let row = all.iter().find(|row| row["kind"] == kind).unwrap();
        assert_eq!(row["unknown"], Value::Null, "{row}");
        let parts = &row["parts"];
        if parts.is_null() { Value::Null } else { json!([parts["after"], parts["then"], parts["now"]]) }
    };
    [parts("run"), parts("scenario")]
}

#[test]
fn what_would_take_another_path_is_named_with_where_it_parts() {
    let bench = recorded();
    assert_eq!(rows(&bench, 0), [Value::Null, Value::Null]);
    edit(&bench, "title: scancel job", "title: Stop it");
    assert_eq!(rows(&bench, 0), [Value::Null, Value::Null], "other words lead nowhere else");

    edit(&bench, "released: done, stuck: by_hand", "released: by_hand, stuck: done");
    assert_eq!(rows(&bench, 1), [json!(["stop:released", "done", "by_hand"]), Value::Null]);
    edit(&bench, "released: by_hand, stuck: done", "released: done, stuck: by_hand");
    edit(&bench, "denied: by_hand", "denied: nothing");
    assert_eq!(rows(&bench, 1), [Value::Null, json!(["stop:denied", "by_hand", "nothing"])]);
    let said = bench.run(&["impact", "stop"]).exits(1);
    insta::assert_snapshot!(bench.redact(&said.out));
}

#[test]
fn a_step_that_is_asked_something_else_is_not_guessed_at() {
    let bench = recorded();
    edit(&bench, "pin: \"{{ job.pin }}\" }", "pin: \"{{ job.pin }}\", lost_steps: 7 }");
    let said = bench.run(&["impact", "stop"]).exits(1);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("now stop (stop: it is asked something else than then)"), "{words}");
}

#[test]
fn a_revision_of_git_is_what_it_is_compared_with() {
    let bench = recorded();
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(args);
        let output = git.current_dir(bench.path("")).env("HOME", bench.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let since = bench.run(&["impact", "stop", "--since", "HEAD"]).exits(2);
    assert!(since.err.contains("there is no HEAD:./runbook.yaml"), "{}", since.err);
    git(&["init", "-q"]);
    git(&["add", "runbooks"]);
    git(&["commit", "-qm", "first"]);
    edit(&bench, "denied: by_hand", "denied: nothing");
    assert_eq!(rows(&bench, 1)[1], json!(["stop:denied", "by_hand", "nothing"]));
    git(&["commit", "-qam", "second"]);
    assert_eq!(rows(&bench, 0)[1], Value::Null, "nothing was edited since the last commit");
    bench.run(&["impact", "stop", "--since", "HEAD~1"]).exits(1);
}
