//! The book: what is generated in it is current, and what it names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use steps::site::{Exchange, Recording};

use super::bench::Bench;

const UPDATE: &str = "RUNBOOK_UPDATE_BOOK";

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Compares a page with what the program says of itself, or writes it anew.
fn is_current(page: &str, said: &str) {
    let path = docs().join(page);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, said).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == said, "docs/{page} is out of date: {UPDATE}=1 cargo test --test main cli::book");
}

/// The commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    let lines =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn section(bench: &Bench, words: &[&str], page: &mut String) {
    let help = bench.run(&[words, &["--help"]].concat()).exits(0).out;
    let level = "#".repeat(words.len() + 1);
    page.push_str(&format!("\n{level} runbook {}\n\n```text\n{}\n```\n", words.join(" "), help.trim_end()));
    for name in commands(&help) {
        section(bench, &[words, &[&name]].concat(), page);
    }
}

#[test]
fn the_page_of_commands_is_what_they_say() {
    let bench = Bench::new();
    let top = bench.run(&["--help"]).exits(0).out;
    let mut page = format!(
        "# Commands and exit codes\n\nWhat each command says of itself; this page is generated.\n\n```text\n{}\n```\n",
        top.trim_end()
    );
    let names = commands(&top);
    assert!(names.len() >= 15, "{names:?}");
    names.iter().for_each(|name| section(&bench, &[name], &mut page));
    is_current("cli.md", &page);
}

#[test]
fn the_page_of_steps_is_what_they_say() {
    let bench = Bench::new();
    let steps = bench.run(&["steps", "list", "--json"]).exits(0).json();
    let mut page = "# Steps\n\nWhat `runbook steps show KIND` says; this page is generated.\n".to_owned();
    for step in steps.as_array().unwrap() {
        let kind = step["kind"].as_str().unwrap();
        let said = bench.run(&["steps", "show", kind]).exits(0).out;
        page.push_str(&format!("\n## {kind}\n\n```text\n{}\n```\n", said.trim_end()));
    }
    assert!(page.matches("\n## ").count() >= 20);
    is_current("steps.md", &page);
}

#[test]
fn the_recording_in_the_book_is_one_and_has_every_kind_of_exchange() {
    let page = fs::read_to_string(docs().join("recordings.md")).unwrap();
    let text = page.split("```").nth(1).unwrap().strip_prefix("yaml\n").unwrap();
    let bench = Bench::new();
    let path = bench.write("incident.yaml", text);
    bench.write("incident.d/0001.txt", "step 118\n");
    let recording = Recording::load(&path).unwrap();
    assert_eq!(recording.format, steps::site::FORMAT);
    let kinds: BTreeSet<String> = recording
        .exchanges
        .iter()
        .map(|exchange| {
            serde_json::to_value(exchange).unwrap().as_object().unwrap().keys().next().unwrap().clone()
        })
        .collect();
    let rows = page.lines().skip_while(|line| !line.starts_with("| exchange")).skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned);
    assert_eq!(rows.collect::<BTreeSet<_>>(), kinds);
    // Whoever adds a kind adds it there.
    for exchange in recording.exchanges {
        match exchange {
            Exchange::Run(_)
            | Exchange::Read(_)
            | Exchange::Stat(_)
            | Exchange::Find(_)
            | Exchange::List(_)
            | Exchange::Replace(_)
            | Exchange::Remove(_)
            | Exchange::Idle(_) => {}
        }
    }
    assert_eq!(kinds.len(), 8);
}

#[test]
fn every_page_is_in_the_book_and_every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let mut pages = vec!["examples/README.md".into(), "tests/cluster/README.md".into()];
    for folder in ["", "docs"] {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let files = files.map(|name| Path::new(folder).join(name));
        pages.extend(files.filter(|name| name.extension().is_some_and(|extension| extension == "md")));
    }
    let link = regex::Regex::new(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)").unwrap();
    let fence = regex::Regex::new(r"(?ms)^```.*?^```$").unwrap();
    let mut links = 0;
    for page in &pages {
        let shown = page.display();
        let text = fs::read_to_string(root.join(page)).unwrap();
        let beside = root.join(page).parent().unwrap().to_owned();
        let of_the_book = page.parent() == Some(Path::new("docs"));
        let name = page.file_name().unwrap().to_string_lossy();
        let listed = name == "SUMMARY.md" || summary.contains(&format!("({name})"));
        assert!(!of_the_book || listed, "SUMMARY.md lacks {name}");
        for found in link.captures_iter(&fence.replace_all(&text, "")) {
            let (to, place) = (&found[1], found.get(2).map(|place| place.as_str()));
            if to.contains("://") {
                continue;
            }
            links += 1;
            let target = if to.is_empty() { root.join(page) } else { beside.join(to) };
            assert!(target.exists(), "{shown} leads to {to}, which is not there");
            assert!(!of_the_book || !to.contains(".."), "{shown} leads out of the book: {to}");
            let heading =
                |place: &str| headings(&fs::read_to_string(&target).unwrap()).any(|name| name == place);
            assert!(
                place.is_none_or(heading),
                "{shown} leads to {to}#{place:?}, and no heading there is called so"
            );
        }
    }
    assert!(links > 60, "{links}");
}

/// What the headings of a page are called in links.
fn headings(page: &str) -> impl Iterator<Item = String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// Commands and their long flags as the pages name them, in lines of code and within text.
#[test]
fn every_command_that_pages_name_is_one() {
    let bench = Bench::new();
    let top = commands(&bench.run(&["--help"]).exits(0).out);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<_> = fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.extend(["README.md", "CONTRIBUTING.md", "examples/README.md"].map(|name| root.join(name)));
    let named = regex::Regex::new(r"(?m)(?:^(?: {4,}|[a-z]+\$ )?|`)runbook ([a-z]+)( [^`\n|>#]*)?").unwrap();
    let flag = regex::Regex::new(r"--[a-z][a-z-]*").unwrap();
    let mut helps = std::collections::BTreeMap::new();
    let mut count = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for found in named.captures_iter(&text) {
            let (command, rest) = (&found[1], found.get(2).map_or("", |rest| rest.as_str()));
            let at = page.display();
            assert!(top.contains(&command.to_owned()), "{at}: there is no `{}`", &found[0]);
            let of = |words: &[&str]| bench.run(&[words, &["--help"]].concat()).exits(0).out;
            let help = helps.entry(command.to_owned()).or_insert_with(|| {
                let own = of(&[command]);
                let inner: Vec<String> = commands(&own).iter().map(|sub| of(&[command, sub])).collect();
                own + &inner.concat()
            });
            // Inputs of a runbook are flags, too.
            let input = |name: &str| ["--job", "--host", "--nodes", "--token"].contains(&name);
            for name in flag.find_iter(rest).map(|name| name.as_str()) {
                assert!(help.contains(name) || input(name), "{at}: `runbook {command}` has no {name}");
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn help_shows_the_reference_and_the_help_of_commands() {
    let bench = Bench::new();
    let topics = bench.run(&["help"]).exits(0).out;
    for line in topics.lines().take_while(|line| !line.is_empty()) {
        let topic = line.split_whitespace().next().unwrap();
        let page = bench.run(&["help", topic]).exits(0).out;
        assert!(page.starts_with("# ") && page.lines().count() > 10, "{topic}");
        assert!(!page.contains("]("), "where links lead is of no use in a terminal: {topic}");
    }
    assert_eq!(bench.run(&["help", "run"]).exits(0).out, bench.run(&["run", "--help"]).exits(0).out);
    assert!(bench.run(&["help", "languge"]).exits(2).err.contains("did you mean language?"));
}
