//! Reports of real runs of the program.

use super::bench::{Bench, Said};
use super::walk::{OOM, bench, with};

/// A report as text in which nothing differs from run to run.
fn steady(bench: &Bench, text: &str) -> String {
    let account = std::process::Command::new("id").arg("-un").output().unwrap();
    let account = String::from_utf8(account.stdout).unwrap();
    let mut text = bench.redact(text).replace(&format!("**{}**", account.trim()), "**[account]**");
    for (pattern, with) in [
        (r"[0-9a-f]{64}", "[sha256]"),
        (r"SHA-256 [0-9a-f]{12}…", "SHA-256 [start]"),
        (r"program: runbook .*", "program: runbook [version]"),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}

fn report(bench: &Bench, run: &str, args: &[&str]) -> Said {
    bench.run(&[&["runs", "report", run], args].concat()).exits(0)
}

/// That a page is whole and asks for nothing from outside.
fn whole(page: &str) -> roxmltree::Document<'_> {
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap().trim_start();
    let parsed = roxmltree::Document::parse(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    for node in parsed.descendants().filter(roxmltree::Node::is_element) {
        assert!(!["script", "iframe", "object", "link", "img", "image"].contains(&node.tag_name().name()));
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on"), "{name}");
            assert!(!["src", "action", "srcset"].contains(&name), "{name}={value}");
            assert!(name != "href" || value.starts_with('#'), "{name}={value}");
            assert!(!value.contains("//") || !name.contains("style"), "{name}={value}");
        }
    }
    let styles = parsed.descendants().filter(|node| node.has_tag_name("style"));
    assert!(
        styles
            .filter_map(|style| style.text())
            .all(|style| !style.contains("@import") && !style.contains("url(h"))
    );
    parsed
}

#[test]
fn a_rehearsal_in_every_form() {
    let bench = Bench::new();
    bench.run(&["rehearse", "training-oom", "--recording", "fragmentation", "--keep"]).exits(0);
    let run = bench.only_run();
    insta::assert_snapshot!(steady(&bench, &report(&bench, &run, &[]).out));

    let found = report(&bench, &run, &["--json"]).json();
    assert_eq!((&found["state"], &found["end"]["kind"]), (&"ended".into(), &"resolved".into()));
    assert_eq!(found["lost"]["steps"], 6);
    assert_eq!(found["chain"]["holds"], true);
    let (before, after) = (&found["memory"][0], &found["memory"][1]);
    assert_eq!(
        (&before["reserved_unallocated"], &before["free"]),
        (&45_140_106_281u64.into(), &7_247_757_312u64.into())
    );
    assert!(
        after["capacity"].is_null() && after["free"].is_null(),
        "what nobody told is unknown, not zero: {after}"
    );
    let states: Vec<_> = found["gates"].as_array().unwrap().iter().map(|gate| &gate["state"]).collect();
    assert_eq!(states, ["agreed", "agreed", "agreed"]);
    let path = found["path"].as_array().unwrap();
    assert_eq!((&path[0], path.last().unwrap()), (&"job".into(), &"done".into()));

    let said = report(&bench, &run, &["-o", "incident.html"]);
    assert!(said.out.is_empty() && said.err.contains("incident.html"), "{said:?}");
    let page = bench.read("incident.html");
    let parsed = whole(&page);
    let heads: Vec<_> =
        parsed.descendants().filter(|node| node.has_tag_name("h2")).filter_map(|node| node.text()).collect();
    insta::assert_yaml_snapshot!(heads);
    let pictures = parsed
        .descendants()
        .filter(|node| {
            node.has_tag_name("figure") && node.children().any(|child| child.tag_name().name() == "svg")
        })
        .count();
    assert_eq!(pictures, 2, "memory and the path");
    let added = parsed.descendants().filter(|node| node.attribute("class") == Some("add"));
    assert!(
        added
            .filter_map(|node| node.text())
            .any(|text| text == "+export PYTORCH_ALLOC_CONF=expandable_segments:True")
    );
}

#[test]
fn who_answered_how_and_what_is_left() {
    let bench = bench(OOM);
    bench.run(&with(&[])).exits(3);
    let run = bench.only_run();
    let parked = report(&bench, &run, &["--json"]).json();
    assert_eq!((&parked["state"], &parked["gates"][0]["state"]), (&"parked".into(), &"open".into()));
    let open = parked["open"].to_string();
    assert!(open.contains("train.sbatch") && open.contains(&format!("runbook resume {run}")), "{open}");

    bench.run(&["resume", &run, "--approve", "edit"]).exits(0);
    bench.run(&["rollback", &run, "--yes"]).exits(0);
    let done = report(&bench, &run, &["--json"]).json();
    assert_eq!(done["state"], "rolled_back");
    assert_eq!(done["gates"].as_array().unwrap().len(), 2, "{}", done["gates"]);
    assert_eq!(
        (&done["gates"][0]["state"], &done["gates"][0]["effect"]),
        (&"agreed".into(), &"edited".into())
    );
    assert_eq!(done["gates"][0]["answers"][0]["via"], "--approve");
    assert_eq!((&done["gates"][1]["undoes"], &done["gates"][1]["effect"]), (&2.into(), &"taken back".into()));
    assert_eq!(done["undone"][0]["result"], "taken back");
    assert_eq!(done["open"].as_array().unwrap().len(), 0, "{}", done["open"]);
    let page = steady(&bench, &report(&bench, &run, &["--md"]).out);
    let clock = regex::Regex::new(
        r"\d{4}-\[time\]:\d\d|(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d|(took: |, after )[^,)\n]*| \(\d[^)]* s\)",
    )
    .unwrap();
    // On a busy machine an answer comes some seconds after the question.
    insta::assert_snapshot!(clock.replace_all(&page, "[time]").replace("[time][time]", "[time]"));
}

#[test]
fn a_cut_tail_and_a_no_are_in_it() {
    let bench = bench(OOM);
    let mut terminal = bench.terminal(&with(&[]));
    terminal.see("[y]es").type_in("n\n").see("Why").type_in("not <b>tonight</b>\n");
    terminal.exits(5);
    let run = bench.only_run();
    let page = report(&bench, &run, &["--html"]).out;
    let parsed = whole(&page);
    let text: String = parsed.descendants().filter_map(|node| node.text()).collect();
    assert!(text.contains("not <b>tonight</b>") && text.contains("declined"), "{text}");
    let journal = format!("state/runs/{run}/journal.jsonl");
    let lines = bench.read(&journal);
    let cut: String = lines.lines().take(lines.lines().count() - 1).map(|line| format!("{line}\n")).collect();
    bench.write(&journal, &cut);
    let found = report(&bench, &run, &["--json"]).json();
    assert_eq!(found["chain"]["holds"], false);
    assert!(found["open"].to_string().contains("runs verify"), "{}", found["open"]);
    assert!(report(&bench, &run, &[]).out.contains("**not what was written**"));
}

#[test]
fn what_the_configuration_hides_is_hidden() {
    let bench = bench(OOM);
    bench.run(&with(&["--yes"])).exits(0);
    bench.write(".config/runbook/config.yaml", "redact: ['OMP_NUM_THREADS=(\\d)']\n");
    for form in ["--md", "--html", "--json"] {
        let said = report(&bench, &bench.only_run(), &[form]).out;
        assert!(!said.contains("OMP_NUM_THREADS=8") && said.contains("OMP_NUM_THREADS="), "{form}: {said}");
    }
    assert!(report(&bench, &bench.only_run(), &["-o", "r.json"]).out.is_empty());
    assert!(!bench.read("r.json").contains("OMP_NUM_THREADS=8") && bench.read("r.json").starts_with('{'));
}
