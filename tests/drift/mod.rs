//! Whatever is edited in a runbook or its page alone is reported. The edits are made mechanically: every box, arrow, label and
//! command, one at a time.

pub(crate) mod graph;
mod mutants;

use std::fs;
use std::path::Path;

use engine::check::{Checked, Context, Library, check};
use engine::diagnostic::{Diagnostic, SourceFile};
use engine::step::Registry;

/// Stands for a runbook that another one runs.
const INNER: &str = "\
runbook: NAME
title: Another one
inputs: { job: { type: slurm-job }, watch: { type: duration } }
start: look
nodes:
  look:
    step: ask
    with: { prompt: x, choices: { resolved: x, no_action: x, escalated: x } }
    next: { resolved: resolved, no_action: no_action, escalated: escalated }
  resolved: { end: resolved, message: x }
  no_action: { end: no_action, message: x }
  escalated: { end: escalated, message: x }
";

/// A runbook and its page.
#[derive(Clone)]
struct Pair {
    yaml: String,
    page: String,
}

impl Library for Pair {
    /// What another runbook does within is on its own page.
    fn find(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        let text = INNER.replace("NAME", name);
        Some(Ok(SourceFile { name: name.to_owned(), text }))
    }

    fn page(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        Some(Ok(SourceFile { name: name.to_owned(), text: self.page.clone() }))
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Pair {
    fn at(directory: &str) -> Self {
        let read = |name: &str| {
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join(name)).unwrap()
        };
        Self { yaml: read("runbook.yaml"), page: read("page.md") }
    }

    fn check(&self, registry: &Registry) -> Checked {
        let file = SourceFile { name: "runbook.yaml".to_owned(), text: self.yaml.clone() };
        check(file, &Context { registry, library: self, flags: &[] })
    }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    steps::register(&mut registry);
    registry
}

/// Every mutant of a pair: all that say something else than before are reported. Gives how many there were.
fn score(directory: &str) -> usize {
    let (pair, registry) = (Pair::at(directory), registry());
    let found = pair.check(&registry).diagnostics;
    assert!(found.iter().all(|found| !found.code.starts_with("page::")), "{directory}: {found:?}");
    let block =
        engine::page::blocks(&pair.page).into_iter().find(|block| block.language == "mermaid").unwrap();
    let arrows = engine::page::flow(&block.text).unwrap().between_boxes();
    let drawn = arrows.into_iter().map(|arrow| ((arrow.from, arrow.to), arrow.label.is_some())).collect();
    let original = graph::told(&graph::of(&pair.yaml), &drawn);
    let (mut reported, mut same) = (0, 0);
    for mutant in mutants::all(&pair) {
        let checked = mutant.pair.check(&registry);
        if checked.errors() > 0 {
            reported += 1;
            continue;
        }
        // An edge between nodes that the page does not know may lead elsewhere without another way from box to box.
        assert!(
            mutant.of_graph && graph::told(&graph::of(&mutant.pair.yaml), &drawn) == original,
            "{directory}: {} was not reported",
            mutant.what
        );
        same += 1;
    }
    assert!(same * 4 < reported, "{same} of {reported} change nothing: these are no mutants");
    reported
}

#[test]
fn every_edit_of_the_shipped_runbook_or_its_page_is_reported() {
    assert!(score("runbooks/training-oom") > 600);
}

#[test]
fn every_edit_of_the_runbook_that_runs_another_or_its_page_is_reported() {
    assert!(score("runbooks/nccl-hang") > 300);
}

#[test]
fn every_edit_of_commands_that_steps_run_is_reported() {
    assert!(score("tests/drift/disk") > 80);
}

#[test]
fn both_places_of_a_difference_are_told() {
    let mut pair = Pair::at("tests/drift/disk");
    pair.page =
        pair.page.replace("Rotate the logs", "Rotate all logs").replace("|yes|", "|ja|").replace("-f", "-v");
    let checked = pair.check(&registry());
    let codes: Vec<&str> = checked.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["page::label", "page::title", "page::command", "page::label", "page::command"]);
    for found in &checked.diagnostics {
        for at in std::iter::once(&found.at).chain(found.related.iter().map(|(at, _)| at)) {
            let text = &checked.files[at.file].text;
            assert!(text.get(at.start..at.start + at.len).is_some_and(|text| !text.is_empty()), "{found:?}");
        }
    }
    let title = checked.diagnostics.iter().find(|found| found.code == "page::title").unwrap();
    assert_ne!(title.at.file, title.related[0].0.file, "carets in both files");
    assert!(checked.plan.is_none());
}

fn findings(pair: &Pair) -> Vec<&'static str> {
    let found = pair.check(&registry()).diagnostics;
    found.iter().map(|found| found.code).filter(|code| code.starts_with("page::")).collect()
}

#[test]
fn quotes_around_a_word_are_no_difference_unless_a_shell_sees_one() {
    let with = |page: &str, step: &str| {
        let mut pair = Pair::at("tests/drift/disk");
        pair.page = pair.page.replace("ssh \"$HOST\" 'df -h /var'", page);
        pair.yaml = pair.yaml.replace("df -h /var", step);
        assert!(pair.page.contains(page) && pair.yaml.contains(step), "{page} {step}");
        findings(&pair)
    };
    for (page, step) in [
        ("grep 'full' log", "grep full log"),
        ("grep \"full\" log", "grep 'full' log"),
        ("grep \"it is\" log", "grep 'it is' log"),
        ("grep 'x y' \"$LOG\"", r#"grep \"x y\" {{ inputs.host }}"#),
        ("df \"$DIR/log\"", "df {{ inputs.host }}/log"),
    ] {
        assert_eq!(with(page, step), [""; 0], "{page} {step}");
    }
    for (page, step) in [
        ("ls '*.log'", "ls *.log"),
        ("grep 'it is' log", "grep it is log"),
        ("grep full 'log | wc'", "grep full log | wc"),
        ("grep full log # 'x'", "grep full log"),
    ] {
        assert_eq!(with(page, step), ["page::command", "page::command"], "{page} {step}");
    }
}

#[test]
fn words_of_a_program_are_what_the_page_quotes() {
    let with = |page: &str, argv: &str| {
        let mut pair = Pair::at("tests/drift/disk");
        pair.page = pair.page.replace("logrotate -f \"$HOST\"", page);
        pair.yaml = pair.yaml.replace("[logrotate, -f, \"{{ inputs.host }}\"]", argv);
        findings(&pair)
    };
    let argv = "[journalctl, --since, 1 day ago, \"{{ inputs.host }}\"]";
    assert_eq!(with("journalctl --since \"1 day ago\" $HOST", argv), [""; 0]);
    assert_eq!(with("journalctl --since 1 day ago $HOST", argv), ["page::command", "page::command"]);
}

/// What `rotate` does in two steps is one box on the page.
#[test]
fn nodes_that_are_one_box_together_are_no_way_to_itself() {
    let mut pair = Pair::at("tests/drift/disk");
    pair.page = pair.page.replace("logrotate -f \"$HOST\"", "logrotate -f \"$HOST\"\nsync");
    let first = "next: { ok: done, nonzero: by_hand }";
    let second = "next: { ok: sync, nonzero: by_hand }\n  sync:\n    title: Rotate the logs\n    flow: C\n    step: shell\n    \
        with: { argv: [sync] }\n    approve: Go on?\n    max_visits: 2\n    next: { ok: done, nonzero: by_hand }";
    pair.yaml = pair.yaml.replace(first, second);
    assert_eq!(findings(&pair), [""; 0]);
    // The way on is the last node's.
    let mut cut = pair.clone();
    cut.yaml = cut.yaml.replace("{ ok: done, nonzero: by_hand }", "{ ok: by_hand, nonzero: by_hand }");
    assert_eq!(findings(&cut), ["page::way"]);
    // A loop is one, also through the other node.
    for (node, to) in [("sync", "rotate"), ("sync", "sync")] {
        let mut looped = pair.clone();
        looped.yaml =
            looped.yaml.replace("{ ok: done, nonzero: by_hand }", &format!("{{ ok: done, nonzero: {to} }}"));
        assert_eq!(findings(&looped).first(), Some(&"page::way"), "{node} -> {to}");
        looped.page =
            looped.page.replace("--> D[Close", "--> D[Close the alarm]\n  C --> C\n  C --> D[Close");
        assert_eq!(findings(&looped), [""; 0], "{node} -> {to}");
    }
    pair.page = pair.page.replace("--> D[Close", "--> D[Close the alarm]\n  C --> C\n  C --> D[Close");
    assert_eq!(findings(&pair), ["page::way"], "the page's loop is not in the graph");
}

/// The box's one edge leads to every arrow, so no label is right there.
#[test]
fn the_advice_about_a_label_is_right_where_a_node_without_a_box_chooses() {
    let mut pair = Pair::at("tests/drift/disk");
    pair.page = pair.page.replace("|yes| C[", "|yes| C[Rotate the logs]\n  B -->|no| D\n  C[");
    let decide = "step: decide\n    with: { full: \"{{ look.stdout is known }}\" }\n    ";
    let next = "next: { full: { to: rotate, label: \"yes\" }, unknown: by_hand }";
    let choose = |next: &str, more: &str| {
        format!(
            "step: ask\n    with: {{ prompt: x, choices: {{ go: x }} }}\n    next: {{ go: note }}\n  \
             note:\n    step: ask\n    with: {{ prompt: x, choices: {{ go: x, stop: y }} }}\n    next: {{ go: choose, stop: by_hand }}\n  \
             choose:\n    {more}step: decide\n    \
             with: {{ full: \"{{{{ look.stdout is known }}}}\", well: \"{{{{ false }}}}\" }}\n    {next}"
        )
    };
    let yaml = pair.yaml.replace(
        &format!("{decide}{next}"),
        &choose("next: { full: rotate, well: done, unknown: by_hand }", ""),
    );
    assert_ne!(yaml, pair.yaml);
    let checked = Pair { yaml, ..pair.clone() }.check(&registry());
    let help: Vec<&str> = checked.diagnostics.iter().filter_map(|found| found.help.as_deref()).collect();
    assert_eq!(help.len(), 2, "{:?}", checked.diagnostics);
    for (help, (to, label)) in help.iter().zip([("rotate", "yes"), ("done", "no")]) {
        let flow = help.contains("`choose`") && help.contains("`flow: B`");
        assert!(flow && help.contains(&format!("`{{ to: {to}, label: \"{label}\" }}`")), "{help}");
    }
    // It is taken.
    let taken = choose(
        "next: { full: { to: rotate, label: \"yes\" }, well: { to: done, label: \"no\" }, unknown: by_hand }",
        "title: \"Is it still full?\"\n    flow: B\n    ",
    );
    pair.yaml = pair.yaml.replace(&format!("{decide}{next}"), &taken);
    assert_eq!(findings(&pair), [""; 0]);
}

#[test]
fn an_arrow_without_words_may_be_drawn_beside_one_with_words() {
    let mut pair = Pair::at("tests/drift/disk");
    pair.page = pair.page.replace("B -->|yes|", "B --> C\n  B -->|yes|");
    pair.page = pair.page.replace("full?}\n", "full?}\n  B --> C\n");
    pair.yaml = pair.yaml.replace("unknown: by_hand", "unknown: rotate");
    assert_eq!(findings(&pair), [""; 0]);
}

#[test]
fn a_page_without_a_flow_or_with_a_broken_one_is_said() {
    let pair = Pair::at("tests/drift/disk");
    let codes = |page: &str| {
        let checked = Pair { page: page.to_owned(), ..pair.clone() }.check(&registry());
        checked.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("# nothing\n"), ["page::flow"]);
    assert_eq!(codes("```mermaid\nflowchart TD\n A[ --> B\n```\n"), ["page::flow"]);
}
