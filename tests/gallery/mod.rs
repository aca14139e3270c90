//! A gallery of broken runbooks, each with what the checker says about it.
//!
//! `cargo insta review` shows what a change does to the wording.

mod steps;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use engine::check::{Checked, Context, Library, NoLibrary, STEP_EXTERNAL, check, codes};
use engine::diagnostic::{Diagnostic, SourceFile};
use engine::plan::PlanData;
use engine::policy::SitePolicy;
use engine::scenario::{Scenario, unreached};
use engine::source::{Config, from_bytes, from_reader};
use runbook::diagnostics::{Style, render};

const PLAIN: Style = Style { colour: false, unicode: false, width: 100 };
/// Flags that `run` has itself.
const FLAGS: &[&str] = &["help", "yes", "dry-run", "record"];

fn gallery() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gallery")
}

/// The runbooks under `library/`.
struct Shelf;

impl Library for Shelf {
    fn find(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        let bytes = std::fs::read(gallery().join("library").join(format!("{name}.yaml"))).ok()?;
        Some(from_bytes(&format!("library/{name}.yaml"), bytes))
    }

    fn page(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        Some(match std::fs::read(gallery().join("pages").join(name)) {
            Ok(bytes) => from_bytes(name, bytes),
            Err(_) => from_reader(name, 0, BrokenDisk),
        })
    }

    fn names(&self) -> Vec<String> {
        names(&gallery().join("library"))
    }
}

/// The names of the runbooks in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<String> =
        yaml.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn checked(file: SourceFile) -> Checked {
    check(file, &Context { registry: &steps::registry(), library: &Shelf, flags: FLAGS })
}

/// What is said about a file of the gallery, or about why it is none.
fn said(name: &str) -> (Vec<Diagnostic>, String) {
    let shown = format!("{name}.yaml");
    let bytes = std::fs::read(gallery().join(&shown)).unwrap();
    let (diagnostics, files) = match from_bytes(&shown, bytes) {
        Ok(file) => {
            let checked = checked(file);
            assert_eq!(
                checked.plan.is_some(),
                checked.errors() == 0,
                "{name}: a plan exactly if there is no error"
            );
            (checked.diagnostics, checked.files)
        }
        Err(refused) => (vec![*refused], vec![SourceFile { name: shown, text: String::new() }]),
    };
    let text = render(&diagnostics, &files, PLAIN);
    (diagnostics, text)
}

#[test]
fn every_picture_is_as_it_was() {
    let names = names(&gallery());
    assert!(names.len() >= 40, "{} pictures", names.len());
    for name in names {
        let (diagnostics, text) = said(&name);
        assert!(!diagnostics.is_empty(), "{name} is not broken");
        let source = std::fs::read(gallery().join(format!("{name}.yaml"))).unwrap();
        assert!(text.is_ascii() || !source.is_ascii(), "{name} is drawn in ASCII");
        insta::with_settings!({
            snapshot_path => gallery().join("snapshots"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn every_code_hangs_in_the_gallery() {
    let mut hanging: BTreeSet<&str> =
        names(&gallery()).iter().flat_map(|name| said(name).0).map(|found| found.code).collect();
    // Two that no small file can show.
    let large = from_reader("core.1234", 100 << 20, std::io::empty()).unwrap_err();
    let unreadable = from_reader("broken-disk.yaml", 10, BrokenDisk).unwrap_err();
    // Those that are not about runbooks, or about what lies beside them.
    let text = "rules: [{ match: {} }]".to_owned();
    let policy = SitePolicy::read(&SourceFile { name: "policy.yaml".to_owned(), text }).unwrap_err();
    let text = "redact: ['a(']\nstate: here\n".to_owned();
    let config = Config::read(&SourceFile { name: "config.yaml".to_owned(), text }).unwrap_err();
    hanging.extend(config.iter().map(|found| found.code));
    hanging.extend([large.code, unreadable.code, too_many_nodes(), policy[0].code, STEP_EXTERNAL]);
    hanging.extend(scenarios().iter().map(|found| found.code));
    let known: BTreeSet<&str> = codes::ALL.iter().map(|known| known.code).collect();
    assert_eq!(known.difference(&hanging).collect::<Vec<_>>(), [] as [&&str; 0], "codes without a picture");
    assert_eq!(
        hanging.difference(&known).collect::<Vec<_>>(),
        [] as [&&str; 0],
        "codes without an explanation"
    );
}

/// What there is to say of scenarios of a runbook.
fn scenarios() -> Vec<Diagnostic> {
    let file = |text: &str| SourceFile { name: "scenario.yaml".to_owned(), text: text.to_owned() };
    let runbook = file(
        "runbook: r\ntitle: R\nstart: a\ninputs: { n: { type: integer } }\nnodes:\n  \
         a: { title: A, step: slurm.job, with: { job: \"1\" }, next: { found: b, missing: b, unknown: b } }\n  \
         b: { end: no_action }\n",
    );
    let checked = checked(runbook.clone());
    let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    let wrong = "scenario: wrong\ninputs: { n: x }\nanswers: { x: yes, a: c }\nfaults: [{ on: x }]\n";
    let mut found = Scenario::read(&file(wrong), plan.data()).unwrap_err();
    let right = file("scenario: right\nclock: 2026-11-24T03:12:44Z\nexpect: { path: [b] }\n");
    let right = Scenario::read(&right, plan.data()).unwrap();
    found.extend(unreached(&runbook, plan.data(), &[right]));
    found
}

struct BrokenDisk;

impl std::io::Read for BrokenDisk {
    fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("Stale file handle"))
    }
}

/// Runbooks that run the next one twice, seventeen deep: 2^17 nodes.
struct Doubling;

impl Library for Doubling {
    fn find(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        let depth: u32 = name.strip_prefix('d')?.parse().ok()?;
        let run = |node: &str, next: &str| match depth {
            0 => format!(
                "  {node}: {{ step: decide, with: {{ yes: true }}, next: {{ yes: {next}, unknown: done }} }}\n"
            ),
            _ => format!(
                "  {node}: {{ step: runbook, with: {{ runbook: d{} }}, next: {{ resolved: {next} }} }}\n",
                depth - 1
            ),
        };
        let text = format!(
            "runbook: {name}\ntitle: t\nstart: a\nnodes:\n{}{}  done: {{ end: resolved }}\n",
            run("a", "b"),
            run("b", "done")
        );
        Some(Ok(SourceFile { name: name.to_owned(), text }))
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

fn too_many_nodes() -> &'static str {
    let file = Doubling.find("d17").unwrap().unwrap();
    let checked = check(file, &Context { registry: &steps::registry(), library: &Doubling, flags: &[] });
    assert!(checked.plan.is_none());
    checked.diagnostics[0].code
}

#[test]
fn whatever_is_missing_it_is_said_and_drawn() {
    let registry = steps::registry();
    let context = Context { registry: &registry, library: &Shelf, flags: FLAGS };
    let draw = |text: String| {
        let checked = check(SourceFile { name: "x.yaml".to_owned(), text }, &context);
        assert_eq!(checked.plan.is_some(), checked.errors() == 0);
        for found in &checked.diagnostics {
            let text = &checked.files[found.at.file].text;
            assert!(text.get(found.at.start..found.at.start + found.at.len).is_some(), "{found:?}");
        }
        let drawn = render(&checked.diagnostics, &checked.files, PLAIN);
        assert!(!drawn.contains("OutOfBounds"), "{drawn}");
    };
    for name in names(&gallery()) {
        let Ok(text) = std::fs::read_to_string(gallery().join(format!("{name}.yaml"))) else { continue };
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for gone in 0..lines.len() {
            draw([&lines[..gone], &lines[gone + 1..]].concat().concat());
        }
        for (at, _) in text.char_indices().step_by(11) {
            draw(text[..at].to_owned());
        }
    }
}

#[test]
fn what_is_right_becomes_a_plan_with_inner_runbooks_written_out() {
    let bytes = std::fs::read(gallery().join("right/node-repair.yaml")).unwrap();
    let checked = checked(from_bytes("node-repair.yaml", bytes).unwrap());
    assert_eq!(render(&checked.diagnostics, &checked.files, PLAIN), "");
    let plan = checked.plan.unwrap();
    insta::with_settings!({
        snapshot_path => gallery().join("right"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        let data = PlanData { source_digest: String::new(), ..PlanData::clone(plan.data()) };
        insta::assert_yaml_snapshot!("node-repair", data);
    });
    let sources = checked.files.iter().map(|file| file.text.as_str()).collect::<String>();
    assert_eq!(plan.data().source_digest, engine::site::digest(sources.as_bytes()));
}

#[test]
fn colours_and_boxes_are_an_option() {
    let text = "runbook: x\ntitle: t\nstart: a\nnodes: { a: { end: resolvd } }\n".to_owned();
    let checked = checked(SourceFile { name: "x.yaml".to_owned(), text });
    let drawn =
        render(&checked.diagnostics, &checked.files, Style { colour: true, unicode: true, width: 80 });
    assert!(drawn.contains("\u{1b}[31m") && drawn.contains('╭'), "{drawn}");
}

/// A runbook of `count` nodes in a row, with loops and templates.
fn long(count: usize) -> SourceFile {
    let mut text =
        "runbook: long\ntitle: Long\ninputs:\n  job: { type: slurm-job }\nstart: n0\nnodes:\n".to_owned();
    for at in 0..count {
        let back = at.saturating_sub(at % 7);
        text += &format!(
            "  n{at}:\n    title: Node {at}\n    step: slurm.job\n    with: {{ job: \"{{{{ inputs.job }}}}\" }}\n    \
             max_visits: 3\n    next: {{ found: n{}, missing: n{back}, unknown: by_hand }}\n",
            at + 1
        );
    }
    text += &format!("  n{count}: {{ end: resolved, message: \"on {{{{ n0.nodes | join(', ') }}}}\" }}\n");
    text += "  by_hand: { end: escalated, message: look }\n";
    SourceFile { name: "long.yaml".to_owned(), text }
}

#[test]
fn time_grows_with_the_number_of_nodes() {
    let registry = steps::registry();
    let context = Context { registry: &registry, library: &NoLibrary, flags: FLAGS };
    let time = |count| {
        let file = long(count);
        let started = std::time::Instant::now();
        let checked = check(file, &context);
        assert_eq!(checked.diagnostics, []);
        assert_eq!(checked.plan.unwrap().data().nodes.len(), count + 2);
        started.elapsed()
    };
    time(100);
    let (small, large) = (time(400), time(4_000));
    // Ten times the nodes; quadratic would be a hundred times. The machine may be busy.
    assert!(large < small * 40, "{small:?} → {large:?}");
}
