//! The value of a secret is given to any parameter of any step, in a world that repeats whatever it hears. It turns up nowhere:
//! not in the journal, not in what people and programs are told, not in a dry run. (Reports are made of the journal.)

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use engine::check::{Context, NoLibrary, check};
use engine::dry_run::dry_run;
use engine::event::Event;
use engine::journal::{DirStore, Store};
use engine::lock::MemoryLocks;
use engine::policy::NoPolicy;
use engine::redact::Redactor;
use engine::run::{Answer, AskedOf, Gate, Mode, Operator, RunId, Started};
use engine::site::{
    Command, DirEntry, Exit, FileKind, FileStat, Found, Output, Search, Site, SiteError, SiteErrorKind,
};
use engine::source::from_bytes;
use engine::step::{Question, Registry, Step};
use engine::walk::{Walker, World};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::case::registry;
use super::process::given;

/// A world that repeats what it is asked, as an answer or as an error.
struct Echo {
    breaks: bool,
}

impl Echo {
    fn said(&self, text: &str) -> Result<Vec<u8>, SiteError> {
        match self.breaks {
            true => Err(SiteError::new(SiteErrorKind::Io, format!("cannot: {text}"))),
            false => Ok(format!("{text}\n").into_bytes()),
        }
    }

    fn file(size: usize) -> FileStat {
        FileStat { kind: FileKind::File, size: size as u64, modified: Timestamp::UNIX_EPOCH, mode: 0o644 }
    }
}

#[async_trait]
impl Site for Echo {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        let input = String::from_utf8_lossy(command.stdin.as_deref().unwrap_or_default());
        let stdout = self.said(&format!("{command} {input}"))?;
        let stderr = stdout.clone();
        Ok(Output { exit: Exit::Code(0), stdout, stderr, truncated: false, took: Duration::ZERO })
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let text = self.said(path)?;
        let from = usize::try_from(offset).unwrap().min(text.len());
        Ok(text[from..text.len().min(from.saturating_add(length))].to_vec())
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        self.said(path).map(|text| Some(Self::file(text.len())))
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let text = String::from_utf8(self.said(path)?).unwrap();
        let name = text.trim().rsplit('/').next().unwrap_or_default();
        Ok(vec![DirEntry { name: format!("of-{name}"), stat: Self::file(text.len()) }])
    }

    async fn find(&self, path: &str, search: &Search) -> Result<Found, SiteError> {
        engine::site::find_by_reading(self, path, search).await
    }

    async fn replace(&self, path: &str, _: Option<&str>, _: &[u8]) -> Result<(), SiteError> {
        self.said(path).map(drop)
    }

    async fn remove(&self, path: &str, _: &str) -> Result<(), SiteError> {
        self.said(path).map(drop)
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// Says yes to everything, and keeps what it was shown.
struct Person(Arc<Mutex<String>>);

#[async_trait]
impl Operator for Person {
    async fn consent(&self, _: &AskedOf, gate: &Gate) -> Answer<bool> {
        self.0.lock().unwrap().push_str(&serde_json::to_string(gate).unwrap());
        given(true)
    }

    async fn choose(&self, _: &AskedOf, question: &Question) -> Answer<String> {
        self.0.lock().unwrap().push_str(&serde_json::to_string(question).unwrap());
        question.choices.last().map_or(Answer::Nobody, |choice| given(choice.outcome.clone()))
    }

    async fn is_member(&self, _: &str, _: &str) -> Option<bool> {
        None
    }
}

/// Something that fits a schema, with the secret wherever text may be.
fn fitting(schema: &Value, text: &str) -> Value {
    let words = |name: &str| schema.get(name);
    if let Some(first) = words("enum").and_then(|all| all.get(0)).or_else(|| words("const")) {
        return first.clone();
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(first) = words(word).and_then(|all| all.get(0)) {
            return fitting(first, text);
        }
    }
    let kind = match words("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == "string") => "string",
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("string"),
        _ => "string",
    };
    match kind {
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        "array" => json!([fitting(words("items").unwrap_or(&Value::Null), text)]),
        "object" => {
            let fields = words("properties").and_then(Value::as_object);
            let mut all: Map<String, Value> = fields
                .into_iter()
                .flatten()
                .map(|(name, inner)| (name.clone(), fitting(inner, text)))
                .collect();
            if all.is_empty() {
                all.insert("key".to_owned(), json!(text));
            }
            Value::Object(all)
        }
        _ => json!(text),
    }
}

/// A runbook of one node that gives the step these parameters.
fn runbook(step: &dyn Step, with: &Value, registry: &Registry) -> Option<Arc<engine::plan::PlanData>> {
    let spec = step.spec();
    let outcomes = spec.outcomes.of(with);
    let next: Map<String, Value> =
        outcomes.iter().map(|outcome| (outcome.name.clone(), json!("done"))).collect();
    let text = json!({
        "runbook": "one",
        "title": "One step",
        "inputs": { "token": { "type": "string", "secret": true, "help": "a secret" } },
        "start": "act",
        "nodes": {
            "act": { "title": "The step", "step": spec.kind, "with": with, "next": next },
            "done": { "end": "resolved" },
        },
    });
    let source = from_bytes("one.yaml", text.to_string().into_bytes()).unwrap();
    let checked = check(source, &Context { registry, library: &NoLibrary, flags: &[] });
    checked.plan.map(|plan| Arc::clone(plan.data()))
}

/// All that is said and kept of a walk and of a dry run.
async fn told(plan: &Arc<engine::plan::PlanData>, secret: &str, breaks: bool, registry: &Registry) -> String {
    let heard = Arc::new(Mutex::new(String::new()));
    let run = RunId::parse("20260101-000000-aaaa").unwrap();
    let started = || Started {
        run: run.clone(),
        program: "harness".to_owned(),
        plan: Arc::clone(plan),
        inputs: [("token".to_owned(), json!(secret))].into(),
        secrets: Default::default(),
        operator: "anna".to_owned(),
        host: "login1".to_owned(),
        mode: Mode::Live,
        target: secret.to_owned(),
        place: None,
    };
    let world = || {
        let events = Arc::clone(&heard);
        World {
            registry: registry.clone(),
            site: Arc::new(Echo { breaks }),
            operator: Arc::new(Person(Arc::clone(&heard))),
            listener: Arc::new(move |event: &Event| {
                events.lock().unwrap().push_str(&serde_json::to_string(event).unwrap());
            }),
            cancel: CancellationToken::new(),
            policy: Arc::new(NoPolicy),
            locks: Arc::new(MemoryLocks::default()),
            budget: Arc::new(engine::budget::NoBudget),
            redactor: Redactor::new(&[("token".to_owned(), secret.to_owned())].into(), &[]).unwrap(),
        }
    };
    let state = tempfile::tempdir().unwrap();
    let store = DirStore::new(state.path());
    let mut walker = Walker::start(started(), store.create(&run).unwrap(), world()).unwrap();
    let ending = walker.walk().await;
    drop(walker);
    let dry = dry_run(started(), &world()).await.map(|dry| serde_json::to_string(&dry).unwrap());
    let journal = std::fs::read_to_string(state.path().join("runs").join(run.as_str()).join("journal.jsonl"));
    format!("{}{ending:?}{dry:?}{}", heard.lock().unwrap(), journal.unwrap())
}

/// The forms in which it may turn up.
fn forms(secret: &str) -> [String; 4] {
    let json = json!(secret).to_string();
    let inner = json[1..json.len() - 1].to_owned();
    let twice = json!(inner).to_string();
    [secret.to_owned(), secret.replace('\'', r"'\''"), twice[1..twice.len() - 1].to_owned(), inner]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn no_step_gives_a_secret_away(
        secret in "[A-Za-z0-9]{6}['\"\\\\é]?[A-Za-z0-9]{8}",
        around in prop::sample::select(vec!["{}", "/srv/{}", "x{}y", "--{}=1", "{}:{}"]),
        breaks in any::<bool>(),
        dice in any::<u64>(),
    ) {
        let registry = registry();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let text = around.replace("{}", "{{ inputs.token }}");
        let mut walked = BTreeSet::new();
        for (number, step) in registry.steps().enumerate() {
            let spec = step.spec();
            let properties = spec.params.get("properties").and_then(Value::as_object);
            let required = spec.params.get("required").and_then(Value::as_array);
            let needed = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
            let some = |with: u64| -> Value {
                let chosen = properties.into_iter().flatten().enumerate().filter(|(at, (name, _))| {
                    needed(name) || with.rotate_right((*at + number) as u32 % 64) & 1 == 1
                });
                Value::Object(chosen.map(|(_, (name, inner))| (name.clone(), fitting(inner, &text))).collect())
            };
            // What some parameters exclude others need: several choices are tried.
            for with in [some(dice), some(!dice), some(0), json!({ "key": text })] {
                let Some(plan) = runbook(&**step, &with, &registry) else { continue };
                let told = runtime.block_on(told(&plan, &secret, breaks, &registry));
                for form in forms(&secret) {
                    prop_assert!(!told.contains(&form), "{} {with}: {form} in {told}", spec.kind);
                }
                prop_assert!(told.contains("‹secret"), "{}: it was never there: {told}", spec.kind);
                walked.insert(spec.kind);
            }
        }
        let all: BTreeSet<_> = registry.kinds().collect();
        prop_assert_eq!(walked, all);
    }
}
