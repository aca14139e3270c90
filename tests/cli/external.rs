//! Steps that are executables: the example in Python, from the check to its end, cut off, taken back, and in wrong hands.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::bench::{Bench, Said, signal};

const FLAGS: &str = "{\n  \"new\": true,\n  \"dark\": true\n}\n";
const OFF: &str = "{\n  \"new\": false,\n  \"dark\": true\n}\n";

/// Keeps what the executable is asked, and stays after an answer that is named.
const WRAPPER: &str = r#"#!/bin/sh
echo "$1" >>"$HOME/asked"
python3 "$(dirname "$0")/flag.py" "$@" || exit
if [ "$1" = "$(cat "$HOME/stays" 2>/dev/null)" ]; then
    echo $$ >"$HOME/group"
    touch "$HOME/stayed"
    sleep 600
fi
"#;

/// The example, its executable behind a wrapper.
fn bench() -> Bench {
    let bench = Bench::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/feature-flag");
    let read = |name: &str| std::fs::read_to_string(example.join(name)).unwrap();
    bench.write("runbooks/feature-flag/runbook.yaml", &read("runbook.yaml"));
    bench.write("runbooks/feature-flag/steps/flag.py", &read("steps/runbook-step-flag.set"));
    bench.write(&format!("{STEP}.json"), &read("steps/runbook-step-flag.set.json"));
    install(&bench, WRAPPER);
    bench.write("flags.json", FLAGS);
    bench
}

/// Puts the executable there. It is never open for writing in this process: a child of another test would keep it so, and it
/// could not be started.
fn install(bench: &Bench, text: &str) {
    let from = bench.write("wrapper", text);
    let to = bench.path(STEP);
    assert!(Command::new("install").args(["-m", "755"]).args([from, to]).status().unwrap().success());
}

const STEP: &str = "runbooks/feature-flag/steps/runbook-step-flag.set";

fn run(bench: &Bench, more: &[&str]) -> Said {
    let file = bench.path("flags.json");
    let file = file.to_str().unwrap();
    bench.run(&[&["run", "feature-flag", "--file", file, "--flag", "new"][..], more].concat())
}

#[test]
fn it_is_checked_shown_and_walked_like_any_other_step() {
    let bench = bench();
    bench.run(&["check", "feature-flag"]).exits(0);
    let listed = bench.run(&["steps", "list", "--beside", "feature-flag"]).exits(0);
    assert!(
        listed.out.contains("Set a feature flag in a JSON file") && listed.out.contains(STEP),
        "{}",
        listed.out
    );
    let shown = bench.run(&["steps", "show", "flag.set", "--beside", "feature-flag"]).exits(0);
    assert!(shown.out.contains("no_such_flag") && shown.out.contains("The JSON file, an absolute path."));
    bench.run(&["steps", "show", "flag.set"]).exits(2);

    // What it takes and can end with is known before anything is run.
    let text = bench.read("runbooks/feature-flag/runbook.yaml");
    let wrong = text.replace("unchanged: was_off, ", "").replace("value: false", "valeu: false");
    let wrong = wrong.replace("off.before", "off.befor");
    bench.write("wrong.yaml", &wrong);
    std::fs::rename(bench.path("runbooks/feature-flag/steps"), bench.path("steps")).unwrap();
    let said = bench.run(&["check", "./wrong.yaml"]).exits(2);
    for words in ["no parameter `valeu`", "`befor`", "`unchanged`"] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
}

#[test]
fn the_example_describes_itself_as_it_says() {
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/feature-flag/steps/runbook-step-flag.set");
    let said = Command::new(&example).arg("describe").stdin(std::process::Stdio::null()).output().unwrap();
    let kept = std::fs::read_to_string(format!("{}.json", example.display())).unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap().trim(), kept.trim());
}

#[test]
fn one_beside_a_runbook_says_in_a_file_what_it_is_and_one_on_the_path_is_asked() {
    let bench = bench();
    std::fs::remove_file(bench.path(&format!("{STEP}.json"))).unwrap();
    let said = bench.run(&["check", "feature-flag"]).exits(2);
    assert!(said.out.contains("step::external") && said.out.contains("must stand beside it"), "{}", said.out);
    assert!(!bench.path("asked").exists());
    std::fs::rename(bench.path("runbooks/feature-flag/steps"), bench.path("bin")).unwrap();
    bench.run(&["check", "feature-flag"]).exits(0);
    assert_eq!(bench.read("asked"), "describe\n");
    let listed = bench.run(&["steps", "list"]).exits(0).out;
    assert!(listed.contains("bin/runbook-step-flag.set"), "{listed}");
}

#[test]
fn a_dry_run_only_asks_what_it_would_do() {
    let bench = bench();
    let said = run(&bench, &["--dry-run"]).exits(0);
    assert!(said.out.contains("-  \"new\": true") && said.out.contains("+  \"new\": false"), "{}", said.out);
    let asked = bench.read("asked");
    assert!(asked.lines().all(|verb| verb == "preview") && asked.contains("preview"), "{asked}");
    assert_eq!(bench.read("flags.json"), FLAGS);
}

#[test]
fn it_is_done_once_and_taken_back_once() {
    let bench = bench();
    let said = run(&bench, &["--yes"]).exits(0);
    assert!(said.out.contains("new: true -> false"), "{}", said.out);
    assert_eq!(bench.read("flags.json"), OFF);
    let id = bench.only_run();
    let said = bench.run(&["rollback", &id, "--yes"]).exits(0);
    assert!(said.out.contains("new is true again"), "{}", said.out);
    assert_eq!(bench.read("flags.json"), FLAGS);
    bench.run(&["rollback", &id, "--yes"]).exits(0);
    let count = |verb: &str| bench.read("asked").lines().filter(|asked| *asked == verb).count();
    assert_eq!((count("perform"), count("undo")), (1, 1));
}

#[test]
fn killed_in_the_middle_it_is_confirmed_and_not_repeated() {
    let bench = bench();
    bench.write("stays", "perform");
    let file = bench.path("flags.json");
    let mut child =
        bench.spawn(&["run", "feature-flag", "--file", file.to_str().unwrap(), "--flag", "new", "--yes"]);
    bench.wait_for("stayed");
    child.kill().unwrap();
    child.wait().unwrap();
    // Nobody is left to end it.
    let group: i32 = bench.read("group").trim().parse().unwrap();
    kill_process_group(Pid::from_raw(group).unwrap(), Signal::KILL).unwrap();
    std::fs::remove_file(bench.path("stays")).unwrap();
    assert_eq!(bench.read("flags.json"), OFF);

    let id = bench.only_run();
    let said = bench.run(&["resume", &id]).exits(0);
    assert!(said.out.contains("it had happened already (probe)"), "{}", said.out);
    let performed = bench.read("asked").lines().filter(|verb| *verb == "perform").count();
    assert_eq!(performed, 1);
    bench.run(&["rollback", &id, "--yes"]).exits(0);
    assert_eq!(bench.read("flags.json"), FLAGS);
}

#[test]
fn ctrl_c_ends_it_and_all_that_it_started() {
    let bench = bench();
    bench.write("stays", "preview");
    let file = bench.path("flags.json");
    let child =
        bench.spawn(&["run", "feature-flag", "--file", file.to_str().unwrap(), "--flag", "new", "--yes"]);
    bench.wait_for("stayed");
    signal(child.id(), Signal::INT);
    Said::of(child.wait_with_output().unwrap()).exits(130);
    let group: i32 = bench.read("group").trim().parse().unwrap();
    let gone = || test_kill_process_group(Pid::from_raw(group).unwrap()).is_err();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !gone() {
        assert!(std::time::Instant::now() < until, "its processes live on");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(bench.read("flags.json"), FLAGS);
}

#[test]
fn an_executable_that_was_edited_since_is_asked_about_again() {
    let bench = bench();
    let file = bench.path("flags.json");
    let args = ["run", "feature-flag", "--file", file.to_str().unwrap(), "--flag", "new"];
    let mut terminal = bench.terminal(&args);
    terminal.see("Approve?");
    install(&bench, &format!("{WRAPPER}# edited\n"));
    terminal.type_in("y\n").see("what there is to know").see("Approve?");
    assert_eq!(bench.read("flags.json"), FLAGS);
    terminal.type_in("n\n").see("Why not?").type_in("\n");
    terminal.exits(5);
    assert!(!bench.read("asked").contains("perform"));
}

#[test]
fn what_others_could_change_is_not_even_asked_what_it_is() {
    let bench = bench();
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(bench.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, open, closed) in [(STEP, 0o777, 0o755), ("runbooks/feature-flag/steps", 0o775, 0o755)] {
        mode(name, open);
        let said = bench.run(&["check", "feature-flag"]).exits(2);
        assert!(said.out.contains("step::external") && said.out.contains("may be written"), "{}", said.out);
        let said = run(&bench, &["--yes"]).exits(2);
        assert!(said.err.contains("runbook.yaml:19"), "{}", said.err);
        let listed = bench.run(&["steps", "list", "--beside", "feature-flag", "--json"]).exits(0).json();
        let row = listed.as_array().unwrap().iter().find(|row| row["kind"] == "flag.set").unwrap().clone();
        assert!(row["refused"].as_str().unwrap().contains("may be written to by others"), "{row}");
        mode(name, closed);
    }
    assert!(!bench.path("asked").exists());
    mode(STEP, 0o644);
    assert!(bench.run(&["check", "feature-flag"]).exits(2).out.contains("no file that can be executed"));
    mode(STEP, 0o755);
    bench.run(&["check", "feature-flag"]).exits(0);
}

#[test]
fn a_rehearsal_of_the_example_needs_nothing_real() {
    let bench = bench();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/feature-flag");
    let recording = example.join("rehearsals/switched-off.yaml");
    let said = bench.run(&["rehearse", "feature-flag", "--recording", recording.to_str().unwrap()]).exits(0);
    assert!(said.out.contains("RESOLVED"), "{}", said.out);
    let text = std::fs::read_to_string(&recording).unwrap();
    bench.write("runbooks/feature-flag/rehearsals/worlds/off.yaml", &text);
    let scenario = "scenario: switched off\nrecording: worlds/off\nexpect: { end: resolved, path: [\"off:set\", done] }\n";
    bench.write("runbooks/feature-flag/rehearsals/off.yaml", scenario);
    bench.run(&["test", "feature-flag"]).exits(0);
    assert!(!bench.path("asked").exists());
}
