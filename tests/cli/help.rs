//! What the program says of itself.

use super::bench::Bench;

#[test]
fn help_fits_a_screen() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.run(&["--help"]).exits(0).out);
    insta::assert_snapshot!(bench.run(&["run", "--help"]).exits(0).out);
    insta::assert_snapshot!(bench.run(&["steps", "run", "--help"]).exits(0).out);
    for words in [
        &["--help"][..],
        &["run", "--help"],
        &["resume", "--help"],
        &["rehearse", "--help"],
        &["check", "--help"],
        &["graph", "--help"],
    ] {
        let help = bench.run(words).exits(0).out;
        assert!(help.lines().count() <= 48, "{words:?}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{words:?}\n{help}");
    }
}

#[test]
fn a_mistake_on_the_command_line_says_what_to_do() {
    let bench = Bench::new();
    let said = |args: &[&str]| {
        let said = bench.run(args).exits(2);
        assert_eq!(said.out, "");
        format!("$ runbook {}\n{}\n", args.join(" "), said.err)
    };
    let all = [
        said(&["run"]),
        said(&["run", "trainig-oom"]),
        said(&["run", "./nowhere.yaml"]),
        said(&["resume", "20200101-000000-aaaa"]),
        said(&["resume", "../../etc"]),
        said(&["runs", "show", "nope"]),
        said(&["explain", "outcome::no_edg"]),
        said(&["steps", "show", "gpu.healt"]),
        said(&["frobnicate"]),
    ];
    insta::assert_snapshot!(bench.redact(&all.concat()));
}

#[test]
fn nothing_to_show_is_no_mistake() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["runs", "list", "--json"]).exits(0).json(), serde_json::json!([]));
    assert_eq!(bench.redact(&bench.run(&["runs", "list"]).exits(0).out), "No runs in [dir]/state.\n");
    assert!(bench.run(&["--version"]).exits(0).out.starts_with("runbook "));
    assert!(bench.run(&["completions", "bash"]).exits(0).out.contains("_runbook()"));
    assert!(!bench.path("state").exists(), "looking leaves nothing behind");
}

#[test]
fn colours_only_where_somebody_asked_for_them() {
    let bench = Bench::new();
    let coloured = |name: &str, value: &str| {
        let output = bench.command(&["list"]).env(name, value).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(!coloured("NOTHING", "1"));
    assert!(coloured("CLICOLOR_FORCE", "1"));
    assert!(!coloured("CLICOLOR_FORCE", "0"));
    let output = bench.command(&["list"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let bench = Bench::new();
    let mut child = bench.spawn(&["explain"]);
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
