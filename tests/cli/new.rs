//! Runbooks out of pages.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::bench::Bench;
use crate::drift::graph::{self, Graph};

fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

#[test]
fn a_new_runbook_checks_and_lists_what_is_left() {
    let bench = Bench::new();
    let said = bench.run(&["new", "disk-full"]).exits(0).out;
    assert!(said.contains("TODO runbooks/disk-full/runbook.yaml:2  one line that tells"), "{said}");
    assert!(said.contains("wrote runbooks/disk-full/runbook.yaml"), "{said}");
    let checked = bench.run(&["check", "disk-full"]).exits(0).out;
    // What was made up is not taken for known: a scenario passes at once, and says what is left to do in it.
    let tested = bench.run(&["test", "disk-full"]).exits(0).out;
    assert!(tested.contains("answered by placeholders  3 TODO"), "{tested}");
    let places = checked.matches("[runbooks/disk-full/rehearsals/first.yaml:").count();
    assert_eq!(places, 3, "{checked}");
    bench.run(&["check", "disk-full", "--deny", "warnings"]).exits(2);
    let rehearsed = bench.run(&["rehearse", "disk-full"]).exits(0).out;
    assert!(rehearsed.contains("TODO: what this printed"), "{rehearsed}");
    let again = bench.run(&["new", "disk-full"]).exits(2);
    assert!(again.err.contains("there already"), "{}", again.err);
    bench.run(&["new", "Disk full"]).exits(2);
}

/// The import of the shipped runbook's own page differs from it only by what the page does not say.
#[test]
fn the_shipped_runbook_is_its_page_and_what_the_page_does_not_say() {
    let bench = Bench::new();
    let page = repository("runbooks/training-oom/page.md");
    bench.run(&["new", "oom", "--from", &page]).exits(0);
    insta::assert_snapshot!(bench.read("runbooks/oom/runbook.yaml"));
    let imported = graph::of(&bench.read("runbooks/oom/runbook.yaml"));
    assert_eq!(bench.read("runbooks/oom/page.md"), fs::read_to_string(&page).unwrap());

    let yaml = fs::read_to_string(repository("runbooks/training-oom/runbook.yaml")).unwrap();
    let shipped = graph::of(&yaml);
    assert_eq!(imported.len(), 12, "{imported:?}");
    let labelled = |graph: &Graph| -> std::collections::BTreeSet<String> {
        graph.iter().map(|(from, to, label, _)| format!("{from} -> {to} {label:?}")).collect()
    };
    let (has, wants) = (labelled(&shipped), labelled(&imported));
    let missing: Vec<_> = wants.difference(&has).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let document: Value = serde_yaml::from_str(&yaml).unwrap();
    let declared: Vec<&str> =
        document["differs"].as_array().unwrap().iter().filter_map(|one| one["way"].as_str()).collect();
    let between = |graph: &Graph| -> std::collections::BTreeSet<String> {
        graph.iter().map(|(from, to, ..)| format!("{from} -> {to}")).collect()
    };
    let (shipped, imported) = (between(&shipped), between(&imported));
    let more: Vec<&str> = shipped.difference(&imported).map(String::as_str).collect();
    assert_eq!(more, declared);
}

#[test]
fn every_flow_that_can_be_read_becomes_a_runbook_that_checks_and_leads_somewhere() {
    let fixtures = repository("engine/src/page/fixtures");
    let bench = Bench::new();
    let mut count = 0;
    for entry in fs::read_dir(&fixtures).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "mmd") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().replace('_', "-");
        let said = bench.run(&["new", &name, "--from", &path.display().to_string()]);
        assert_eq!(
            said.code,
            Some(0),
            "{name}\n{}{}\n{}",
            said.out,
            said.err,
            bench.read(&format!("runbooks/{name}/runbook.yaml"))
        );
        count += 1;
    }
    assert!(count >= 30);
    let suites = bench.run(&["test", "--json"]).exits(0).json();
    let ends = |suite: &Value| suite["scenarios"][0]["happened"]["end"].clone();
    let ends: Vec<Value> = suites.as_array().unwrap().iter().map(ends).collect();
    assert_eq!(ends.len(), count);
    assert!(ends.iter().all(|end| end == "resolved"), "{ends:?}");
}

#[test]
fn commands_become_steps_that_ask_first_unless_they_only_read() {
    let bench = Bench::new();
    bench.run(&["new", "disk", "--from", &repository("tests/drift/disk/page.md")]).exits(0);
    insta::assert_snapshot!("disk", bench.read("runbooks/disk/runbook.yaml"));
    insta::assert_snapshot!("disk_first", bench.read("runbooks/disk/rehearsals/first.yaml"));
}

/// In `examples/disk-full` every command runs on `$HOST`, and one box speaks of the host's owner.
#[test]
fn what_variables_are_called_says_little_about_where_a_command_belongs() {
    let bench = Bench::new();
    bench.run(&["new", "x", "--from", &repository("examples/disk-full/page.md")]).exits(0);
    let made = bench.read("runbooks/x/runbook.yaml");
    let at = |text: &str| made.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("run: \"df -x") < at("flow: \"A\""), "evidence comes first");
    let (decides, vacuums) = (at("flow: \"D\""), at("flow: \"J\""));
    assert!((decides..vacuums).contains(&at("run: \"du -sm /var/log/journal\"")));
    assert!((decides..at("flow: \"O\"")).contains(&at("run: \"systemctl restart {{ inputs.unit }}\"")));
    bench.run(&["test", "x"]).exits(0);
}

/// `/scratch` is in the alert and in every command; what is written above a command tells what it is for.
#[test]
fn a_change_belongs_to_what_is_written_above_it_and_to_nothing_that_decides() {
    let bench = Bench::new();
    let page = "# Old scratch is full\n\n1. Look.\n\n2. If there are old checkpoints,\n   remove them.\n\n```sh\n\
        find /scratch -mtime +30 -name '*.pt' -delete\n```\n\nOtherwise:\n\n```sh\n# drain the node\n\
        scontrol update NodeName=$NODE State=DRAIN Reason=scratch\n```\n\n```mermaid\nflowchart TD\n\
        A[Alert: scratch full] --> B{Old scratch checkpoints?}\nB -- yes --> C[Delete checkpoints in scratch]\n\
        B -- no --> D[Drain: scratch stays full]\nC --> E([Done.])\nD --> F([Hand over])\n```\n";
    bench.write("page.md", page);
    bench.run(&["new", "x", "--from", "page.md"]).exits(0);
    let made = bench.read("runbooks/x/runbook.yaml");
    let node = |flow: &str| {
        let (_, rest) = made.split_once(&format!("flow: \"{flow}\"\n")).unwrap();
        rest.split_once("\n\n").unwrap().0.to_owned()
    };
    assert!(node("C").contains("-delete") && node("D").contains("State=DRAIN"), "{made}");
    for asks in ["A", "B", "F"] {
        assert!(node(asks).contains("step: ask"), "{made}");
    }
    assert!(node("E").trim_start().starts_with("end: resolved"), "{made}");
    bench.run(&["test", "x"]).exits(0);
    bench.run(&["check", "x"]).exits(0);
}

#[test]
fn braces_and_quotes_of_a_page_stay_what_they_are() {
    let bench = Bench::new();
    let page = "# x\n\n```mermaid\nflowchart TD\n  A[Look] --> B[Go on]\n```\n\n```sh\n\
        docker ps --format '{{.Names}}'\ndu -x \"$DIR/log\"\n```\n";
    bench.write("page.md", page);
    bench.run(&["new", "x", "--from", "page.md"]).exits(0);
    let first = bench.read("runbooks/x/rehearsals/first.yaml");
    assert!(first.contains("script: \"docker ps --format '{{.Names}}'\""), "{first}");
    let made = bench.read("runbooks/x/runbook.yaml");
    assert!(made.contains(r#"run: "du -x \"{{ inputs.dir }}/log\"""#), "{made}");
    bench.run(&["test", "x"]).exits(0);
    let other = page.replace(".Names", ".ID");
    bench.write("runbooks/x/page.md", &other);
    assert!(bench.run(&["check", "x"]).exits(2).out.contains("page::command"));
}

#[test]
fn a_loop_of_a_page_stays_one_command_and_is_held_against_it() {
    let bench = Bench::new();
    let page = "# x\n\n```mermaid\nflowchart TD\n  A[Look] -->|> 5 days| B[Restart nginx]\n  A -->|< 5 days| C[Done]\n```\n\n\
        ```sh\nssh $node uptime\nfor h in a b; do\n  ssh $h 'systemctl restart nginx'\ndone\n```\n";
    bench.write("page.md", page);
    bench.run(&["new", "x", "--from", "page.md"]).exits(0);
    let made = bench.read("runbooks/x/runbook.yaml");
    for part in [
        r#"run: "for h in a b; do\n  ssh $h 'systemctl restart nginx'\ndone""#,
        r#"host: "{{ inputs.node }}""#,
        r#""over_5_days": { to: restart_nginx"#,
        r#""under_5_days": { to: "#,
    ] {
        assert!(made.contains(part), "{part}\n{made}");
    }
    bench.run(&["test", "x"]).exits(0);
    bench.write("runbooks/x/page.md", &page.replace("restart nginx'", "reload nginx'"));
    let said = bench.run(&["check", "x"]).exits(2).out;
    assert_eq!(said.matches("page::command").count(), 2, "{said}");
}

#[test]
fn a_flow_of_ends_alone_checks() {
    let bench = Bench::new();
    bench.write("end.mmd", "flowchart TD\n  A[Done]\n%% \n");
    bench.run(&["new", "end", "--from", "end.mmd"]).exits(0);
    assert!(!bench.read("runbooks/end/runbook.yaml").contains("by_hand"));
}

#[test]
fn a_page_without_a_flow_is_refused_with_its_line() {
    let bench = Bench::new();
    bench.write("page.md", "# Nothing\n");
    let said = bench.run(&["new", "x", "--from", "page.md"]).exits(2);
    assert!(said.err.contains("no Mermaid flow"), "{}", said.err);
    bench.write("broken.md", "# x\n\n```mermaid\nflowchart TD\n  A --> end\n```\n");
    let said = bench.run(&["new", "x", "--from", "broken.md"]).exits(2);
    assert!(said.err.contains("line 5"), "{}", said.err);
    bench.write("broken.mmd", "flowchart TD\n  A --> end\n");
    let said = bench.run(&["new", "x", "--from", "broken.mmd"]).exits(2);
    assert!(said.err.contains("broken.mmd, line 2"), "{}", said.err);
    assert!(!bench.path("runbooks/x").exists());
}
