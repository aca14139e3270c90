//! What there is to walk: every runbook and example of the repository on every recording of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::check::{Context, Library, check};
use engine::diagnostic::{Diagnostic, SourceFile};
use engine::plan::PlanData;
use engine::run::{Mode, RunId, Started};
use engine::scenario::Scenario;
use engine::source::from_bytes;
use engine::step::Registry;
use serde_json::Value;
use steps::site::{RecordedSite, Recording};

/// What a person answers to the questions of the runbooks that ship.
const ANSWERS: &[(&str, &str)] = &[
    ("gpu_fault", "replace"),
    ("ask_admin", "go_on"),
    ("co_tenant", "avoid"),
    ("crowded", "elsewhere"),
    ("no_checkpoint", "go_on"),
    ("torn_checkpoint", "leave"),
    ("keep_or_revert", "revert"),
];
/// And where one recording was made with another answer.
const OTHERWISE: &[(&str, &str, &str)] =
    &[("reduced", "gpu_fault", "reduce"), ("reduced", "keep_or_revert", "keep")];

/// Where runbooks with their recordings are; the last has those of steps that no runbook that ships has.
const SHELVES: [&str; 3] = ["runbooks", "examples", "tests/harness/runbooks"];

/// What is not cut off at every entry: a copy that was cut off half-way begins anew, so that not every command of it is run
/// exactly once. The tests of the step cut it off.
const BEGINS_ANEW: &[&str] = &["pin/kept"];

/// Where the relaunched job dies by itself: a run that comes back later finds less of it.
const RESTLESS: &[&str] = &["reduced"];

/// One runbook on one recording.
pub(crate) struct Case {
    /// `training-oom/true-oom`.
    pub name: String,
    pub plan: Arc<PlanData>,
    recording: Recording,
    pub answers: BTreeMap<String, String>,
    /// What happened in this world by itself leads a run that comes back later by another way to the same end.
    pub restless: bool,
}

impl Case {
    /// The case of this name.
    pub(crate) fn of(runbook: &str, recording: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = SHELVES.map(|shelf| root.join(shelf).join(runbook).join("runbook.yaml"));
        let file = file.into_iter().find(|file| file.is_file()).expect("a runbook");
        let tapes = recordings(runbook);
        let path = tapes.iter().find(|path| path.file_stem().is_some_and(|stem| stem == recording));
        let recording_of = Recording::load(path.expect("a recording")).unwrap();
        let mut answers: BTreeMap<String, String> =
            ANSWERS.iter().map(|(node, word)| ((*node).to_owned(), (*word).to_owned())).collect();
        for (_, node, word) in OTHERWISE.iter().filter(|(name, ..)| *name == recording) {
            answers.insert((*node).to_owned(), (*word).to_owned());
        }
        Self {
            name: format!("{runbook}/{recording}"),
            plan: plan(&file),
            recording: recording_of,
            answers,
            restless: RESTLESS.contains(&recording),
        }
    }

    /// The recorded world at its beginning.
    pub(crate) fn world(&self) -> RecordedSite {
        RecordedSite::new(self.recording.clone(), self.started().run.as_str())
    }

    /// The first entry of its run: always the same.
    pub(crate) fn started(&self) -> Started {
        let specs = &self.plan.scopes[""].inputs;
        let value = |(name, spec): (&String, &engine::plan::InputSpec)| {
            let given = self.recording.inputs.get(name).or(spec.default.as_ref());
            (name.clone(), given.cloned().unwrap_or(Value::Null))
        };
        Started {
            run: RunId::new(self.recording.clock, 7),
            program: "harness".to_owned(),
            plan: Arc::clone(&self.plan),
            inputs: specs.iter().map(value).collect(),
            secrets: Default::default(),
            operator: "anna".to_owned(),
            host: "login1".to_owned(),
            mode: Mode::Rehearsal { recording: self.name.clone() },
            target: String::new(),
            place: None,
        }
    }
}

/// The recordings of a runbook that ship, and those that are made for tests.
fn recordings(runbook: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = SHELVES.map(|shelf| root.join(shelf).join(runbook).join("rehearsals"));
    let apart = root.join("runbooks").join(runbook).join("rehearsals/worlds");
    let files =
        beside.iter().chain([&apart]).flat_map(fs::read_dir).flatten().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    let recording = |path: &PathBuf| !Scenario::is_one(&fs::read_to_string(path).unwrap());
    let mut files: Vec<_> = yaml.filter(recording).collect();
    files.sort();
    files
}

/// Every runbook that has recordings is among the known cases with each of them.
#[track_caller]
pub(crate) fn assert_all(known: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shelves = SHELVES.map(|shelf| root.join(shelf));
    let folders = shelves.iter().flat_map(fs::read_dir).flatten().map(|entry| entry.unwrap().path());
    let mut all = Vec::new();
    // What brings steps of its own is walked with them, by the tests of the command.
    let ours = |path: &PathBuf| path.join("runbook.yaml").is_file() && !path.join("steps").is_dir();
    for runbook in folders.filter(ours) {
        let runbook = runbook.file_name().unwrap().to_str().unwrap();
        let names = recordings(runbook);
        assert!(!names.is_empty(), "{runbook} has no recording");
        all.extend(
            names.iter().map(|path| format!("{runbook}/{}", path.file_stem().unwrap().to_str().unwrap())),
        );
    }
    all.retain(|name| !BEGINS_ANEW.contains(&name.as_str()));
    all.sort();
    let mut known = known.to_vec();
    known.sort_unstable();
    assert_eq!(all, known);
}

/// The step kinds that ship.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    steps::register(&mut registry);
    registry
}

/// The runbooks that ship, for those that run another one.
struct Shipped;

impl Library for Shipped {
    fn find(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(name).join("runbook.yaml");
        fs::read(&file).ok().map(|bytes| from_bytes(&file.display().to_string(), bytes))
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

fn plan(file: &Path) -> Arc<PlanData> {
    let source = from_bytes(&file.display().to_string(), fs::read(file).unwrap()).unwrap();
    let registry = registry();
    let checked = check(source, &Context { registry: &registry, library: &Shipped, flags: &[] });
    Arc::clone(checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)).data())
}
