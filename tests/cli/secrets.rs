//! A secret is used and never seen.

use std::io::Write as _;

use super::bench::{Bench, Said};

/// With everything that a shell, JSON and an address write in their own way.
const TOKEN: &str = "hunter2'\"$(id) tök/+n\\x";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.runbook("post").write("token", &format!("{TOKEN}\n"));
    bench
}

fn base64(text: &str) -> String {
    let mut child = std::process::Command::new("base64")
        .arg("-w0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// All files below a directory.
fn files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Asserts that no form of the token is in a text.
#[track_caller]
fn without(what: &str, text: &str) {
    let json = serde_json::Value::from(TOKEN).to_string();
    let quoted = TOKEN.replace('\'', r"'\''");
    let encoded = base64(TOKEN);
    for form in [TOKEN, &json[1..json.len() - 1], &quoted, &encoded[..encoded.len() - 4], "hunter2"] {
        assert!(!text.contains(form), "{form} in {what}:\n{text}");
    }
}

fn run(bench: &Bench, args: &[&str]) -> Said {
    Said::of(bench.command(args).env("RUNBOOK_SECRET_TOKEN", TOKEN).output().unwrap())
}

#[test]
fn steps_get_the_secret_and_nobody_sees_it() {
    let bench = bench();
    let said =
        bench.run(&["run", "post", "--token", "@token", "--yes", "--json", "--record", "tape.yaml"]).exits(0);
    assert_eq!(bench.read("seen").lines().next(), Some(TOKEN), "the step got it");
    assert!(
        bench.read("posted").starts_with(&format!("posted {TOKEN} Bearer {TOKEN} {TOKEN}")),
        "as a word of a shell, too"
    );
    for (what, text) in
        [("events", &said.out), ("the screen", &said.err), ("the recording", &bench.read("tape.yaml"))]
    {
        without(what, text);
        assert!(text.contains("‹secret token"), "{what} say where it was:\n{text}");
    }
    let run = bench.only_run();
    for file in files(&bench.path("state")) {
        without(&file.display().to_string(), &String::from_utf8_lossy(&std::fs::read(&file).unwrap()));
    }
    for args in [["runs", "show", &run].as_slice(), &["runs", "show", &run, "--json"], &["runs", "list"]] {
        without(&args.join(" "), &bench.run(args).exits(0).out);
    }
    without("the dry run", &self::run(&bench, &["run", "post", "--dry-run", "--all-paths"]).exits(0).out);
    without("its JSON", &self::run(&bench, &["run", "post", "--dry-run", "--json"]).exits(0).out);
}

#[test]
fn a_recording_without_the_secret_can_be_rehearsed() {
    let bench = bench();
    bench.run(&["run", "post", "--token", "@token", "--yes", "--record", "tape.yaml"]).exits(0);
    let said = bench.run(&["rehearse", "post", "--recording", "tape.yaml", "--token", "@token"]).exits(0);
    without("the rehearsal", &said.out);
    // A word that a shell takes as it is stands for another such word.
    bench.write("plain", "hunter2-hunter2");
    bench.run(&["run", "post", "--token", "@plain", "--yes", "--record", "tape.yaml"]).exits(0);
    without("the recording", &bench.read("tape.yaml"));
    let said = bench.run(&["rehearse", "post", "--recording", "tape.yaml"]).exits(0);
    assert!(said.out.contains("posted ‹secret token›"), "{}", said.out);
}

#[test]
fn a_resumed_run_is_given_the_secret_again() {
    let bench = bench();
    let parked = run(&bench, &["run", "post"]).exits(3);
    without("the card", &parked.out);
    let id = bench.only_run();
    let absent = bench.run(&["resume", &id, "--yes"]).exits(2);
    assert!(absent.err.contains("RUNBOOK_SECRET_TOKEN"), "{}", absent.err);
    let wrong = Said::of(
        bench.command(&["resume", &id, "--yes"]).env("RUNBOOK_SECRET_TOKEN", "wrong").output().unwrap(),
    );
    assert!(wrong.exits(2).err.contains("not the secret token that the run was started with"));
    assert!(!bench.path("posted").exists());
    // At a terminal it is asked for; what is typed is not shown.
    let mut terminal = bench.terminal(&["resume", &id, "--yes"]);
    terminal.see("Secret token (not shown): ").hides().type_in(&format!("{TOKEN}\n")).see("RESOLVED");
    terminal.exits(0);
    assert!(
        bench.read("posted").starts_with(&format!("posted {TOKEN} Bearer {TOKEN} {TOKEN}")),
        "{}",
        bench.read("posted")
    );
    without("the journal", &bench.read(&format!("state/runs/{id}/journal.jsonl")));
    // What taking it back would do is shown without it as well.
    without("the rollback", &run(&bench, &["rollback", &id, "--dry-run"]).out);
}

#[test]
fn what_is_no_secret_is_refused() {
    let bench = bench();
    let open = bench.run(&["run", "post", "--token", "hunter2-in-the-open"]).exits(2);
    assert!(
        open.err.contains("every account of this host can read") && !open.err.contains("hunter2"),
        "{}",
        open.err
    );
    let nobody = bench.run(&["run", "post"]).exits(2);
    assert!(
        nobody.err.contains("--token @FILE") && nobody.err.contains("RUNBOOK_SECRET_TOKEN"),
        "{}",
        nobody.err
    );
    bench.write("short", "abc\n");
    assert!(
        bench.run(&["run", "post", "--token", "@short"]).exits(2).err.contains("fewer than 4 characters")
    );
    bench.write("word", "shell\n");
    assert!(
        bench.run(&["run", "post", "--token", "@word"]).exits(2).err.contains("also stands in the runbook")
    );
    assert!(!bench.path("state/runs").exists(), "nothing was begun");
}

#[test]
fn what_the_configuration_names_is_removed_too() {
    let bench = bench();
    bench.write(".config/runbook/config.yaml", "redact: ['posted']\nstate: /nowhere\n");
    let said = bench.run(&["run", "post", "--token", "@token", "--yes", "--json"]).exits(0);
    // The runbook itself is kept as it is written.
    let (_, after) = said.out.split_once('\n').unwrap();
    assert!(after.contains("echo ‹redacted›") && !after.contains("posted"), "{after}");
    assert!(!bench.read("posted").is_empty());
    bench.write(".config/runbook/config.yaml", "redact: ['a(']\n");
    // No command looks for runs in another place than the one that could not be read.
    for args in [["runs", "list"].as_slice(), &["pending"], &["runs", "verify", "--all"], &["resume", "k7f2"]]
    {
        let broken = bench.run(args).exits(2);
        assert!(
            broken.err.contains("config.yaml:1:10") && broken.err.contains("no regular expression"),
            "{args:?}: {}",
            broken.err
        );
    }
}
