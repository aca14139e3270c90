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
