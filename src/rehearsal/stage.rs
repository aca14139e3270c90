//! A recorded world, set up and walked on.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use engine::budget::NoBudget;
use engine::diagnostic::{Diagnostic, Severity};
use engine::event::Event;
use engine::journal::{MemoryJournal, Record};
use engine::lock::MemoryLocks;
use engine::plan::PlanData;
use engine::policy::NoPolicy;
use engine::redact::Redactor;
use engine::run::{Entry, Mode, RunId, Started};
use engine::scenario::{Fault, Happened, Passed, Scenario, Written};
use engine::step::{Registry, StepErrorKind};
use engine::walk::{Ending, Walker, World};
use serde_json::Value;
use steps::site::{Recording, RehearsedSite};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::faults::Faults;
use super::people::Scripted;
use crate::error::CliError;
use crate::external;
use crate::load::registry;
use crate::secrets;

/// The recordings that scenarios name, each read once.
#[derive(Default)]
pub(crate) struct Worlds {
    read: HashMap<PathBuf, Recording>,
}

/// A world, with what goes wrong in it and what people answer.
pub(crate) struct Set {
    base: Recording,
    /// What is answered first.
    before: Recording,
    inputs: BTreeMap<String, Value>,
    faults: Vec<Fault>,
    answers: BTreeMap<String, Vec<String>>,
    /// The file of the runbook that the scenario is of.
    place: Option<String>,
}

/// A world that a run walks on.
pub(crate) struct Stage {
    /// The world.
    pub site: Arc<RehearsedSite>,
    /// What people answer.
    pub answers: BTreeMap<String, Vec<String>>,
    /// What steps do otherwise.
    faults: Arc<Faults>,
}

impl Worlds {
    /// The recording at `path`, with `.yaml` or without.
    fn recording(&mut self, path: &Path) -> Result<Recording, CliError> {
        let path = if path.is_file() { path.to_owned() } else { with_yaml(path) };
        if let Some(known) = self.read.get(&path) {
            return Ok(known.clone());
        }
        let recording = Recording::load(&path)?;
        Ok(self.read.entry(path).or_insert(recording).clone())
    }

    /// The world of a scenario that is written in `path`.
    ///
    /// # Errors
    /// A recording that cannot be read, an exchange that is none; at its place.
    pub(crate) fn set(&mut self, scenario: &Scenario, path: &Path) -> Result<Set, Box<Diagnostic>> {
        let mut base = match &scenario.recording {
            Some(written) => {
                let name = written.value.as_str().unwrap_or_default();
                let at = path.parent().unwrap_or(Path::new("")).join(name);
                self.recording(&at).map_err(|error| wrong(written, &error.to_string()))?
            }
            None => Recording::new(scenario.clock.unwrap_or_default()),
        };
        base.clock = scenario.clock.unwrap_or(base.clock);
        let mut before = Recording::new(base.clock);
        for written in &scenario.exchanges {
            let exchange = serde_json::from_value(written.value.clone());
            let exchange =
                exchange.map_err(|error| wrong(written, &format!("this is no exchange: {error}")))?;
            before.exchanges.push(exchange);
        }
        let mut inputs = base.inputs.clone();
        inputs.extend(scenario.inputs.clone());
        let (faults, answers) = (scenario.faults.clone(), scenario.answers.clone());
        // `rehearsals/NAME.yaml` lies beside the runbook.
        let place = path.parent().and_then(Path::parent).map(|beside| beside.join("runbook.yaml"));
        let place = place.map(|place| place.display().to_string());
        Ok(Set { base, before, inputs, faults, answers, place })
    }
}

impl Set {
    /// The world of a recording.
    pub(crate) fn recorded(base: Recording) -> Self {
        let (before, inputs) = (Recording::new(base.clock), base.inputs.clone());
        Self { base, before, inputs, faults: Vec::new(), answers: BTreeMap::new(), place: None }
    }

    /// The inputs that come with it.
    pub(crate) fn inputs(&self) -> &BTreeMap<String, Value> {
        &self.inputs
    }

    /// The world for the run with this id.
    pub(crate) fn stage(self, run: &RunId, redactor: &Redactor) -> Stage {
        let site = RehearsedSite::new(self.base, self.before, &self.faults, run.as_str());
        Stage {
            site: Arc::new(site.hiding(redactor.clone())),
            answers: self.answers,
            faults: Faults::new(&self.faults),
        }
    }

    /// Walks a runbook on it, to where that rests.
    ///
    /// # Errors
    /// If it cannot be walked at all, or the world has no answer to something.
    pub(crate) fn walk(self, plan: &Arc<PlanData>, runtime: &Runtime) -> Result<Happened, CliError> {
        let (inputs, redactor) = complete(plan, &self.inputs)?;
        let run = RunId::new(self.base.clock, 0);
        let started = Started {
            run: run.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            plan: Arc::clone(plan),
            inputs,
            secrets: BTreeMap::new(),
            operator: "rehearsal".to_owned(),
            host: "rehearsal".to_owned(),
            mode: Mode::Rehearsal { recording: String::new() },
            target: String::new(),
            place: self.place.clone(),
        };
        self.stage(&run, &redactor).walk(started, redactor, runtime)
    }
}

fn with_yaml(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".yaml");
    name.into()
}

fn wrong(written: &Written, message: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic {
        code: "scenario::world",
        severity: Severity::Error,
        message: message.to_owned(),
        at: written.at.clone(),
        label: "here".to_owned(),
        related: Vec::new(),
        help: None,
    })
}

/// The inputs with defaults; any word stands in for a secret.
fn complete(
    plan: &PlanData,
    given: &BTreeMap<String, Value>,
) -> Result<(BTreeMap<String, Value>, Redactor), CliError> {
    let specs = plan.scopes.get("").map(|scope| &scope.inputs);
    let (mut values, mut secret) = (BTreeMap::new(), secrets::Secrets::new());
    for (name, spec) in specs.into_iter().flatten() {
        let value = match given.get(name).or(spec.default.as_ref()) {
            Some(value) => value.clone(),
            None if spec.optional => Value::Null,
            None if spec.secret => {
                let word = secrets::stand_in(name);
                secret.insert(name.clone(), word.clone());
                Value::String(word)
            }
            None => {
                let message =
                    format!("the input {name} is given neither in the scenario nor in its recording");
                return Err(CliError::usage(message, format!("write `inputs: {{ {name}: … }}`")));
            }
        };
        values.insert(name.clone(), value);
    }
    Ok((values, secrets::redactor(secret, Some(plan))?))
}

impl Stage {
    /// The step kinds, as the scenario has them.
    pub(crate) fn registry(&self, registry: Registry) -> Registry {
        self.faults.registry(registry)
    }

    /// Takes note of which node is visited.
    pub(crate) fn hear(&self, event: &Event) {
        if let Event::Began { node, .. } = event {
            self.site.enter(node);
            self.faults.enter(node);
        }
    }

    fn walk(self, started: Started, redactor: Redactor, runtime: &Runtime) -> Result<Happened, CliError> {
        let this = Arc::new(self);
        let mut registry = registry();
        external::complete(&mut registry, &started.plan, started.place.as_deref())?;
        let records: Arc<Mutex<Vec<Record>>> = Arc::default();
        let (heard, stage) = (Arc::clone(&records), Arc::clone(&this));
        let world = World {
            registry: this.registry(registry),
            site: Arc::clone(&this.site) as _,
            operator: Arc::new(Scripted::new(this.answers.clone(), None)),
            policy: Arc::new(NoPolicy),
            locks: Arc::new(MemoryLocks::default()),
            budget: Arc::new(NoBudget),
            redactor,
            listener: Arc::new(move |event| {
                stage.hear(event);
                if let Event::Recorded(record) = event {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
                }
            }),
            cancel: CancellationToken::new(),
        };
        let mut walker = Walker::start(started, MemoryJournal::default(), world)?;
        let ending = runtime.block_on(walker.walk())?;
        drop(walker);
        let records = records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hole) = hole(&records) {
            return Err(CliError::usage(hole, "the world has to answer it"));
        }
        let mut happened = happened(&records, &ending);
        happened.commands = this.site.changes();
        happened.injected = this.faults.injected();
        happened.idle = [this.site.idle(), this.faults.idle()].concat();
        Ok(happened)
    }
}

/// What the world had no answer to, where that broke a node.
fn hole(records: &[Record]) -> Option<String> {
    records.iter().find_map(|record| match &record.entry {
        Entry::Failed { node, error, .. } if error.kind == StepErrorKind::NotRecorded => {
            Some(format!("{node}: {}", error.message))
        }
        _ => None,
    })
}

/// What is to be said of a walk.
fn happened(records: &[Record], ending: &Ending) -> Happened {
    let (end, at, why) = match ending {
        Ending::Ended { end, node, message } => (end.word(), Some(node), message.clone()),
        Ending::Parked { node } => ("parked", Some(node), None),
        Ending::Held { node, why, .. } => ("held", Some(node), Some(why.clone())),
        Ending::Stuck { node, why, .. } => ("stuck", Some(node), Some(why.clone())),
        Ending::RolledBack { broke, .. } => {
            let broke = broke.as_ref();
            ("rolled_back", broke.map(|(node, _)| node), broke.map(|(_, why)| why.clone()))
        }
        Ending::Locked { node, why, .. } => ("locked", Some(node), Some(why.clone())),
        Ending::Interrupted => ("interrupted", None, None),
    };
    let outputs = records.iter().filter_map(|record| match &record.entry {
        Entry::Finished { node, output, .. } => Some((node.clone(), output.clone())),
        _ => None,
    });
    Happened {
        path: Passed::path(records, at.map(String::as_str)),
        end: end.to_owned(),
        why,
        outputs: outputs.collect(),
        ..Happened::default()
    }
}
