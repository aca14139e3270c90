//! `runbook lsp`, driven as an editor drives it.

use super::client::Editor;
use crate::cli::bench::Bench;

const URI: &str = "file:///tmp/größe/runbook.yaml";

const TEXT: &str = "\
runbook: draft
title: Größe
inputs:
  job: { type: slurm-job, help: the job }
vars: { job: \"{{ inputs.job }}\" }
start: look
nodes:
  look:
    title: Look at it
    step: slurm.job
    with: { job: \"{{ vars.job }}\" }
    next: { found: 'stop', missing: done, unknown: by_hand }
  stop:
    step: slurm.cancel
    with: { job: \"{{ look.job if look is known else vars.job }}\" }
    declined: look_again
    next: { released: done, stuck: by_hand, denied: by_hand }
  look_again: { step: wait, with: { for: 5s }, next: done }
  done: { end: resolved }
  by_hand:
    end: escalated
    message: |
      größer 🦀: {{ look.nodes | join(', ') if look is known }}
      {% for stop in [1] %}{{ stop }}{% endfor %}
";

/// An editor with the text open, which is right.
fn editor(bench: &Bench) -> Editor {
    let mut editor = Editor::start(&mut bench.command(&["lsp"]));
    let said = editor.open(URI, TEXT);
    assert_eq!(said, [] as [&str; 0]);
    editor
}

/// Line and column (in UTF-16 units, from 0) of the `nth` occurrence of a text.
fn find(text: &str, nth: usize) -> (usize, usize) {
    let at = TEXT.match_indices(text).nth(nth).unwrap().0;
    let before = &TEXT[..at];
    let line = before.rsplit('\n').next().unwrap();
    (before.matches('\n').count(), line.encode_utf16().count())
}

fn labels(found: Vec<(String, String)>) -> Vec<String> {
    found.into_iter().map(|(label, _)| label).collect()
}

#[test]
fn mistakes_come_and_go_as_one_types() {
    let bench = Bench::new();
    let mut editor = editor(&bench);
    let said = editor.change(URI, &TEXT.replace("missing: done", "missing: dnoe"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("12: ") && said[0].contains("Did you mean `done`?"), "{said:?}");
    let said = editor.change(URI, "runbook: [");
    assert!(said.len() == 1, "{said:?}");
    assert_eq!(editor.change(URI, TEXT), [] as [&str; 0]);
}

#[test]
fn what_differs_from_the_page_is_told_in_both_files() {
    let bench = Bench::new();
    let kept = |name: &str| std::fs::read_to_string(format!("tests/drift/disk/{name}")).unwrap();
    let yaml = kept("runbook.yaml");
    let path = bench.write("a b/runbook.yaml", &yaml);
    bench.write("a b/page.md", &kept("page.md"));
    let uri = format!("file://{}", path.display()).replace(' ', "%20");
    let page = uri.replace("runbook.yaml", "page.md");
    let mut editor = Editor::start(&mut bench.command(&["lsp"]));
    assert_eq!(editor.open(&uri, &yaml), [] as [&str; 0]);
    let said = editor.change(&uri, &yaml.replace("Rotate the logs", "Rotate all logs"));
    assert!(said.len() == 1 && said[0].contains("Rotate"), "{said:?}");
    editor.change(&uri, &yaml.replace("    flow: C\n", ""));
    let said = editor.known_of(&page);
    assert!(said.iter().any(|said| said.starts_with("6: ") && said.contains("`C`")), "{said:?}");
    assert_eq!(editor.change(&uri, &yaml), [] as [&str; 0]);
    assert_eq!(editor.known_of(&page), [] as [&str; 0]);
}

#[test]
fn a_name_leads_to_its_node() {
    let bench = Bench::new();
    let mut editor = editor(&bench);
    let look = find("look:", 0);
    for place in [find("look\n", 0), find("look.job", 0), find("look.nodes", 0), look] {
        assert_eq!(editor.definition(URI, place), Some(look), "{place:?}");
    }
    let (line, column) = find("'stop'", 0);
    assert_eq!(editor.definition(URI, (line, column + 2)), Some(find("stop:", 0)));
    assert_eq!(editor.definition(URI, find("slurm.job\n", 0)), None);
}

#[test]
fn a_node_is_renamed_wherever_it_is_named_and_nowhere_else() {
    let bench = Bench::new();
    let mut editor = editor(&bench);
    let renamed = editor.rename(URI, TEXT, find("look.nodes", 0), "seen").unwrap();
    let expected = TEXT
        .replace("start: look", "start: seen")
        .replace("  look:", "  seen:")
        .replace("look.job if look is", "seen.job if seen is")
        .replace("look.nodes | join(', ') if look is", "seen.nodes | join(', ') if seen is");
    assert_eq!(renamed, expected);
    assert_eq!(editor.change(URI, &renamed), [] as [&str; 0]);
    editor.change(URI, TEXT);
    let quoted = editor.rename(URI, TEXT, find("stop:", 0), "halt").unwrap();
    assert_eq!(quoted, TEXT.replace("'stop'", "'halt'").replace("  stop:", "  halt:"));
    let both = TEXT.replace("for stop in [1]", "for look in [1]");
    editor.change(URI, &both);
    assert!(editor.rename(URI, &both, find("look:", 0), "seen").is_err_and(|why| why.contains("of its own")));
    editor.change(URI, TEXT);
    for taken in ["done", "inputs", "Not-a-name", ""] {
        assert!(editor.rename(URI, TEXT, find("look:", 0), taken).is_err(), "{taken}");
    }
    assert!(editor.rename(URI, TEXT, find("runbook:", 0), "x").is_err());
}

#[test]
fn names_in_templates_tell_their_types() {
    let bench = Bench::new();
    let mut editor = editor(&bench);
    let mut over = |text, nth, on: &str| {
        let (line, column) = find(text, nth);
        editor.hover(URI, line, column + text.find(on).unwrap() + 1)
    };
    assert!(
        over("look.nodes", 0, "nodes").contains("`look.nodes`: a list of text"),
        "{}",
        over("look.nodes", 0, "nodes")
    );
    assert_eq!(over("look.job", 0, "look"), "the output of node `look`");
    assert!(over("inputs.job", 0, "job").contains("`inputs.job`: text"));
    assert_eq!(over("vars.job", 0, "job"), "`vars.job`: a variable");
    assert!(over("missing: done", 0, "done").contains("ends: resolved"));
    assert_eq!(over("runbook: draft", 0, "draft"), "");
}

#[test]
fn what_could_be_written_is_offered_also_in_what_is_no_yaml_yet() {
    let bench = Bench::new();
    let mut editor = editor(&bench);
    let mut offered = |from: &str, to: &str| {
        let text = TEXT.replace(from, to);
        editor.change(URI, &text);
        let cut = TEXT.find(from).unwrap() + to.len();
        let (line, column) =
            (text[..cut].matches('\n').count(), text[..cut].rsplit('\n').next().unwrap().len());
        labels(editor.completions(URI, line, column))
    };
    let nodes =
        offered("    next: { found: 'stop', missing: done, unknown: by_hand }", "    next: { found: ");
    assert_eq!(nodes, ["look", "stop", "look_again", "done", "by_hand"]);
    let outcomes = offered("    next: { released: done, stuck: by_hand, denied: by_hand }", "    next: { ");
    assert!(
        ["released", "stuck", "otherwise"].iter().all(|name| outcomes.iter().any(|o| o == name)),
        "{outcomes:?}"
    );
    let params =
        offered("    with: { job: \"{{ look.job if look is known else vars.job }}\" }", "    with: { p");
    assert!(["job", "pin", "timeout"].iter().all(|name| params.iter().any(|p| p == name)), "{params:?}");
    let fields = offered("{{ look.job", "{{ look.");
    assert!(fields.iter().any(|field| field == "nodes"), "{fields:?}");
    let roots = offered("{{ look.job", "{{ ");
    assert!(
        ["inputs", "vars", "run", "look"].iter().all(|name| roots.iter().any(|r| r == name)),
        "{roots:?}"
    );
    let kinds = offered("step: wait", "step: ");
    assert!(kinds.iter().any(|kind| kind == "oom.read") && kinds.len() > 20, "{kinds:?}");
}
