//! The JSON Schema: it is current, says nothing against runbooks that check, and helps in an editor.

use std::path::Path;
use std::process::Command;

use super::client::Editor;
use super::tools;
use crate::cli::bench::Bench;

const SCHEMA: &str = "docs/runbook.schema.json";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text as an author with the schema beside it would write it.
fn with_schema(text: &str) -> String {
    with_schema_at(&root().join(SCHEMA), text)
}

fn with_schema_at(schema: &Path, text: &str) -> String {
    let own = text.lines().filter(|line| !line.starts_with("# yaml-language-server:"));
    let first = format!("# yaml-language-server: $schema=file://{}", schema.display());
    std::iter::once(first.as_str()).chain(own).map(|line| format!("{line}\n")).collect()
}

fn editor() -> Option<Editor> {
    let server = tools()?.join("node_modules/yaml-language-server/bin/yaml-language-server");
    Some(Editor::start(Command::new("node").arg(server).arg("--stdio")))
}

#[test]
fn the_file_is_what_the_program_says() {
    let said = Bench::new().run(&["steps", "schema"]).exits(0).out;
    let kept = std::fs::read_to_string(root().join(SCHEMA)).unwrap();
    assert!(said == kept, "write it anew: cargo run -- steps schema > {SCHEMA}");
}

#[test]
fn an_editor_finds_nothing_wrong_with_runbooks_that_check() {
    let Some(mut editor) = editor() else { return };
    let mut files: Vec<_> = ["runbooks", "examples"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path().join("runbook.yaml"))
        .filter(|path| path.is_file())
        .collect();
    let fixtures = std::fs::read_dir(root().join("tests/cli/fixtures")).unwrap();
    files.extend(fixtures.map(|entry| entry.unwrap().path()));
    assert!(files.len() >= 5, "{files:?}");
    let bench = Bench::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // A runbook that brings steps has a schema of its own.
        let text = if file.with_file_name("steps").is_dir() {
            let own = bench.run(&["steps", "schema", "--beside", file.to_str().unwrap()]).exits(0).out;
            with_schema_at(&bench.write("own.schema.json", &own), &text)
        } else {
            with_schema(&text)
        };
        let said = editor.open(&format!("file://{}", file.display()), &text);
        assert_eq!(said, [] as [&str; 0], "{}", file.display());
    }
}

const DRAFT: &str = "\
runbook: draft
title: A draft
start: look
nodes:
  look:
    step: slurm.jbo
    with: { job: \"1\" }
    next: { found: stop, missing: done }
  stop:
    step: slurm.cancel
    with: { jobb: \"1\", timeout: \"{{ vars.time }}\" }
    max_visits: 0
    next: { released: done, stuk: done }
  again:
    step: slurm.cancel
    with:
      job: \"1\"
      p
    next:
      released: done
      s
  kind:
    step: \x20
    next: done
  done: { end: resolvd, mesage: x }
";

/// The line of the draft (from 0, with the line that names the schema) that holds a text.
fn line(text: &str) -> usize {
    DRAFT.lines().position(|line| line.contains(text)).unwrap() + 1
}

#[test]
fn an_editor_completes_explains_and_points_at_mistakes() {
    let Some(mut editor) = editor() else { return };
    let uri = "file:///tmp/draft.yaml";
    let said = editor.open(uri, &with_schema(DRAFT));
    let has = |at: &str, words: &str| {
        let line = format!("{}: ", line(at) + 1);
        said.iter().any(|said| said.starts_with(&line) && said.contains(words))
    };
    for (at, words) in [
        ("slurm.jbo", "Value is not accepted"),
        ("jobb", "Property jobb is not allowed"),
        ("jobb", "Missing property \"job\""),
        ("max_visits: 0", "below the minimum of 1"),
        ("stuk", "Value is not accepted. Valid values: \"released\", \"stuck\""),
        ("resolvd", "Valid values: \"resolved\", \"no_action\", \"escalated\""),
        ("mesage", "Property mesage is not allowed"),
    ] {
        assert!(has(at, words), "{at}: {words}: {said:#?}");
    }
    // A template may stand for anything.
    assert!(!said.iter().any(|said| said.contains("timeout")), "{said:#?}");

    let kinds = editor.completions(uri, line("  kind:") + 1, 10);
    let registry = steps_of_the_program();
    assert!(
        kinds.len() > 20 && registry.iter().all(|kind| kinds.iter().any(|(label, _)| label == kind)),
        "{kinds:?}"
    );
    assert!(kinds.iter().all(|(_, about)| about.len() > 8), "{kinds:?}");

    let params = editor.completions(uri, line("      p"), 7);
    let pin = params.iter().find(|(label, _)| label == "pin");
    assert!(pin.is_some_and(|(_, about)| about.contains("slurm.job")), "{params:?}");
    assert!(params.iter().all(|(label, _)| label != "job"), "what is there is not offered again: {params:?}");

    let outcomes = editor.completions(uri, line("      s"), 7);
    let stuck = outcomes.iter().find(|(label, _)| label == "stuck");
    assert!(stuck.is_some_and(|(_, about)| !about.is_empty()), "{outcomes:?}");

    let job = editor.hover(uri, line("      job:"), 7);
    assert!(job.contains("Id of the job"), "{job}");
    let visits = editor.hover(uri, line("max_visits"), 6);
    assert!(visits.contains("How often a run may come here"), "{visits}");
    let released = editor.hover(uri, line("      released"), 8);
    assert!(released.contains("its nodes are free"), "{released}");
}

fn steps_of_the_program() -> Vec<String> {
    let rows = Bench::new().run(&["steps", "list", "--json"]).exits(0).json();
    rows.as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
}
