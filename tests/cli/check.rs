//! `runbook check`: several runbooks at once, for people and for programs.

use serde_json::Value;

use super::bench::Bench;

const CLEAN: &str = "runbook: clean\ntitle: Clean\nstart: done\nnodes: { done: { end: resolved } }\n";
const WARNS: &str = "\
runbook: warns
title: \"TODO: a title\"
start: look
nodes:
  look:
    step: shell
    with: { run: tail -f train.log }
    next: { ok: done, nonzero: done }
  done: { end: no_action }
";
const BROKEN: &str = "\
runbook: broken
title: Größer
start: look
nodes:
  look:
    step: shell
    with: { run: ls }
    next: { ok: done, nonzero: dnoe }
  done: { end: resolved }
";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("a b/runbook.yaml", CLEAN);
    bench.write("warns.yaml", WARNS);
    bench.write("broken.yaml", BROKEN);
    bench
}

fn codes(findings: &Value, key: &str) -> Vec<String> {
    let all = findings.as_array().unwrap();
    all.iter().map(|found| found[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn several_paths_are_checked_and_the_worst_counts() {
    let bench = bench();
    let said = bench.run(&["check", "a b/", "warns.yaml"]).exits(0);
    assert!(said.out.contains("clean: 1 node\n") || said.out.contains("a b: 1 node\n"), "{}", said.out);
    for code in ["text::todo", "output::unbounded", "end::no_message"] {
        assert!(said.out.contains(code), "{}", said.out);
    }
    bench.run(&["check", "a b/", "--deny", "warnings"]).exits(0);
    let said = bench.run(&["check", "a b/", "warns.yaml", "--deny", "warnings"]).exits(2);
    assert!(said.err.contains("warnings are denied"), "{}", said.err);
    bench.run(&["check", "a b/", "broken.yaml"]).exits(2);
    bench.run(&["check", "a b/", "nowhere.yaml"]).exits(2);
    bench.run(&["check", "--deny", "everything"]).exits(2);
}

#[test]
fn programs_read_all_runbooks_in_one_array() {
    let rows = bench().run(&["check", "a b/", "warns.yaml", "broken.yaml", "--json"]).exits(2).json();
    let rows = rows.as_array().unwrap();
    let counts: Vec<_> =
        rows.iter().map(|row| (row["errors"].as_u64().unwrap(), row["warnings"].as_u64().unwrap())).collect();
    assert_eq!(counts, [(0, 0), (0, 3), (1, 0)]);
    assert_eq!(codes(&rows[1]["findings"], "code"), ["text::todo", "output::unbounded", "end::no_message"]);
    let found = &rows[2]["findings"][0];
    assert_eq!((found["line"].as_u64(), found["column"].as_u64()), (Some(8), Some(32)));
}

#[test]
fn sarif_names_rules_places_and_levels() {
    let log = bench().run(&["check", "a b/", "warns.yaml", "broken.yaml", "--sarif"]).exits(2).json();
    let run = &log["runs"][0];
    assert_eq!(
        (log["version"].as_str(), run["tool"]["driver"]["name"].as_str()),
        (Some("2.1.0"), Some("runbook"))
    );
    let results = run["results"].as_array().unwrap();
    for result in results {
        let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(!rule["shortDescription"]["text"].as_str().unwrap().is_empty());
    }
    assert_eq!(
        codes(&run["results"], "ruleId"),
        ["text::todo", "output::unbounded", "end::no_message", "target::unknown"]
    );
    assert_eq!(codes(&run["results"], "level"), ["warning", "warning", "warning", "error"]);
    let place = &results[3]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "broken.yaml");
    let region = &place["region"];
    let numbers =
        ["startLine", "startColumn", "endLine", "endColumn"].map(|key| region[key].as_u64().unwrap());
    assert_eq!(numbers, [8, 32, 8, 36]);
}

#[test]
fn mistakes_of_a_large_runbook_are_told_in_written_order() {
    let bench = Bench::new();
    let mut text = "runbook: large\ntitle: Large\nstart: n0\nnodes:\n".to_owned();
    for at in 0..1_100 {
        let read = match at {
            10 => "n1050.stdout",
            20 => "n9.nothing",
            700 => "n699.stdout | sotr",
            1_090 => "n10.stdotu",
            _ => "run.id",
        };
        text += &format!(
            "  n{at}: {{ step: shell, with: {{ argv: [ls, \"{{{{ {read} }}}}\"] }}, next: {{ ok: n{}, nonzero: end }} }}\n",
            at + 1
        );
    }
    text += "  n1100: { end: resolved, message: done }\n  end: { end: escalated, message: by hand }\n";
    bench.write("large.yaml", &text);
    let said = bench.run(&["check", "large.yaml", "--json"]).exits(2).json();
    let found = said[0]["findings"].as_array().unwrap();
    let found: Vec<_> =
        found.iter().map(|one| (one["code"].as_str().unwrap(), one["line"].as_u64().unwrap())).collect();
    let expected = [
        ("template::never_ran", 15),
        ("template::unknown_field", 25),
        ("template::unknown_filter", 705),
        ("template::unknown_field", 1_095),
    ];
    assert_eq!(found, expected);
}
