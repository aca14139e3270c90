//! Fake steps over a shared world, plans built by hand, and journals that crash.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::event::Event;
use engine::journal::{Journal, JournalError, Record};
use engine::plan::{
    Approve, Body, Edge, EndKind, Next, Node, OnFailure, PlanData, Retry, Scope, StepNode, Undo,
};
use engine::run::{Answer, AskedOf, Decided, Entry, Gate, Mode, Operator, RunId, Started};
use engine::step::{
    Change, ChangeStep, Confirmation, Done, Effect, Outcomes, Performed, Predicted, Preview, Price, Question,
    Read, ReadStep, Registry, StepCx, StepError, StepErrorKind, UndoPlan, UndoPreview, Undone,
};
use engine::walk::{Ending, Rollback, WalkError, Walker, World};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::nowhere::Nowhere;

/// The world: named things with a value each, and a list of what was done to it.
#[derive(Default, Debug)]
pub(crate) struct Things {
    pub values: BTreeMap<String, String>,
    pub acts: Vec<String>,
    pub reads: usize,
    pub previews: usize,
    /// Seconds since the epoch.
    pub clock: i64,
    /// Breaks to inject: `(act or probe, kind)`, each used once.
    pub breaks: Vec<(String, StepErrorKind)>,
}

#[derive(Default, Clone)]
pub(crate) struct Shared(pub Arc<Mutex<Things>>);

impl Shared {
    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Things> {
        self.0.lock().unwrap()
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        self.lock().values.insert(name.to_owned(), value.to_owned());
    }

    fn broken(&self, what: &str) -> Result<(), StepError> {
        let mut things = self.lock();
        let Some(at) = things.breaks.iter().position(|(name, _)| name == what) else { return Ok(()) };
        let (name, kind) = things.breaks.remove(at);
        Err(StepError::new(kind, format!("{name} broke as told")))
    }
}

/// `probe`: what is the value of a thing?
struct Probe(Shared);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProbeParams {
    thing: String,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    value: Option<String>,
    number: Option<i64>,
}

#[async_trait]
impl ReadStep for Probe {
    const KIND: &'static str = "probe";
    const SUMMARY: &'static str = "looks at a thing";
    type Params = ProbeParams;
    type Output = Found;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[("good", ""), ("bad", ""), ("unknown", "")])
    }

    async fn read(&self, _cx: &StepCx, params: ProbeParams) -> Result<Performed<Found>, StepError> {
        self.0.broken(&params.thing)?;
        let mut things = self.0.lock();
        things.reads += 1;
        let value = things.values.get(&params.thing).cloned();
        let outcome = match value.as_deref() {
            Some("bad") => "bad",
            Some(_) => "good",
            None => "unknown",
        };
        let number = value.as_deref().and_then(|value| value.parse().ok());
        Ok(Done::new(outcome, Found { value, number }).into())
    }
}

/// `put`: gives a thing a value; its inverse restores the old one.
struct Put(Shared);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PutParams {
    thing: String,
    value: String,
}

#[derive(Serialize, Deserialize, Default)]
struct PutIntent {
    before: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct PutOutput {
    before: Option<String>,
    after: String,
}

#[async_trait]
impl ChangeStep for Put {
    const KIND: &'static str = "put";
    const SUMMARY: &'static str = "changes a thing";
    const EFFECT: Effect = Effect::Reversible;
    type Params = PutParams;
    type Intent = PutIntent;
    type Output = PutOutput;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[("done", ""), ("unchanged", ""), ("refused", "")])
    }

    fn targets(&self, params: &Self::Params) -> Vec<String> {
        vec![format!("thing/{}", params.thing)]
    }

    async fn preview(
        &self,
        cx: &StepCx,
        params: &PutParams,
    ) -> Result<Preview<PutIntent, PutOutput>, StepError> {
        self.0.broken(&format!("preview {}", params.thing))?;
        self.0.lock().previews += 1;
        let before = self.0.lock().values.get(&params.thing).cloned();
        let output = || PutOutput { before: before.clone(), after: params.value.clone() };
        if before.as_ref() == Some(&params.value) {
            return Ok(Preview::nothing(Done::new("unchanged", output())));
        }
        Ok(Preview {
            target: params.thing.clone(),
            commands: vec![format!("put {} {}", params.thing, params.value)],
            diffs: vec![],
            notes: cx.head.iter().map(|head| format!("the journal is at {head}")).collect(),
            undo: Some("put it back".to_owned()),
            price: Price { jobs: vec![params.thing.clone()], ..Price::nothing() },
            intent: PutIntent { before: before.clone() },
            predicted: vec![Predicted { outcome: "done".to_owned(), output: output() }],
            writes: vec![],
            nothing_to_do: None,
        })
    }

    async fn perform(
        &self,
        _cx: &StepCx,
        params: &PutParams,
        intent: &PutIntent,
    ) -> Result<Performed<PutOutput>, StepError> {
        self.0.broken(&format!("before {}", params.thing))?;
        let output = PutOutput { before: intent.before.clone(), after: params.value.clone() };
        {
            let mut things = self.0.lock();
            things.acts.push(format!("put {} {}", params.thing, params.value));
            if things.values.contains_key(&format!("refuse {}", params.thing)) {
                return Ok(Done::new("refused", output).into());
            }
            things.values.insert(params.thing.clone(), params.value.clone());
        }
        self.0.broken(&format!("after {}", params.thing))?;
        Ok(Done::new("done", output).into())
    }

    async fn confirm(
        &self,
        _cx: &StepCx,
        params: &PutParams,
        intent: &PutIntent,
    ) -> Result<Confirmation<PutOutput>, StepError> {
        if self.0.lock().values.contains_key("blind") {
            return Ok(Confirmation::Unknown("blind".to_owned()));
        }
        let now = self.0.lock().values.get(&params.thing).cloned();
        let output = PutOutput { before: intent.before.clone(), after: params.value.clone() };
        Ok(if now.as_ref() == Some(&params.value) {
            Confirmation::Happened(Done::new("done", output))
        } else {
            Confirmation::DidNot
        })
    }

    async fn preview_undo(
        &self,
        _cx: &StepCx,
        params: &PutParams,
        intent: &PutIntent,
    ) -> Result<UndoPreview, StepError> {
        self.0.broken(&format!("look {}", params.thing))?;
        let things = self.0.lock();
        let blind = things.values.contains_key("blind undo");
        if things.values.get(&params.thing) != Some(&params.value) && !blind {
            return Ok(UndoPreview::NothingToDo("it is not what was put".to_owned()));
        }
        let before = intent.before.as_deref().unwrap_or("nothing");
        let commands = vec![format!("put {} back to {before}", params.thing)];
        Ok(UndoPreview::Would(UndoPlan {
            target: params.thing.clone(),
            commands,
            blind,
            price: Price { jobs: vec![params.thing.clone()], ..Price::nothing() },
            ..UndoPlan::default()
        }))
    }

    async fn undo(&self, _cx: &StepCx, params: &PutParams, intent: &PutIntent) -> Result<Undone, StepError> {
        self.0.broken(&format!("undo {}", params.thing))?;
        let mut things = self.0.lock();
        if things.values.get(&params.thing) != Some(&params.value) {
            return Ok(Undone::NothingToDo("it is not what was put".to_owned()));
        }
        things.acts.push(format!("unput {}", params.thing));
        if things.values.contains_key("blind undo") {
            drop(things);
            return self
                .0
                .broken(&format!("undone {}", params.thing))
                .map(|()| Undone::Restored("ran".to_owned()));
        }
        match &intent.before {
            Some(before) => things.values.insert(params.thing.clone(), before.clone()),
            None => things.values.remove(&params.thing),
        };
        Ok(Undone::Restored(params.thing.clone()))
    }
}

/// `burn`: changes a thing for good.
struct Burn(Shared);

#[async_trait]
impl ChangeStep for Burn {
    const KIND: &'static str = "burn";
    const SUMMARY: &'static str = "changes a thing for good";
    const EFFECT: Effect = Effect::Irreversible;
    type Params = ProbeParams;
    type Intent = ();
    type Output = ();

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[("burnt", ""), ("denied", "")])
    }

    async fn preview(&self, _cx: &StepCx, params: &ProbeParams) -> Result<Preview<(), ()>, StepError> {
        Ok(Preview {
            target: params.thing.clone(),
            commands: vec![format!("burn {}", params.thing)],
            diffs: vec![],
            notes: vec![],
            price: Price::nothing(),
            undo: None,
            intent: (),
            predicted: vec![],
            writes: vec![],
            nothing_to_do: None,
        })
    }

    async fn perform(&self, _cx: &StepCx, params: &ProbeParams, (): &()) -> Result<Performed<()>, StepError> {
        let mut things = self.0.lock();
        things.acts.push(format!("burn {}", params.thing));
        if things.values.contains_key(&format!("refuse {}", params.thing)) {
            return Ok(Done::new("denied", ()).into());
        }
        things.values.insert(params.thing.clone(), "ashes".to_owned());
        Ok(Done::new("burnt", ()).into())
    }

    async fn confirm(
        &self,
        _cx: &StepCx,
        params: &ProbeParams,
        (): &(),
    ) -> Result<Confirmation<()>, StepError> {
        let burnt = self.0.lock().values.get(&params.thing).is_some_and(|value| value == "ashes");
        Ok(if burnt { Confirmation::Happened(Done::new("burnt", ())) } else { Confirmation::DidNot })
    }
}

/// `pick`: the first true one of its parameters, as `decide` does.
struct Pick;

#[async_trait]
impl ReadStep for Pick {
    const KIND: &'static str = "pick";
    const SUMMARY: &'static str = "decides";
    const EFFECT: Effect = Effect::Pure;
    type Params = serde_json::Map<String, Value>;
    type Output = Value;

    fn outcomes() -> Outcomes {
        Outcomes::keys(None, &[("unknown", "")])
    }

    async fn read(&self, _cx: &StepCx, params: Self::Params) -> Result<Performed<Value>, StepError> {
        for (name, value) in params {
            match value {
                Value::Bool(true) => return Ok(Done::new(name, json!({})).into()),
                Value::Bool(false) => {}
                _ => break,
            }
        }
        Ok(Done::new("unknown", json!({})).into())
    }
}

pub(crate) fn registry(things: &Shared) -> Registry {
    let mut registry = Registry::default();
    registry.register(Read::new(Probe(things.clone())));
    registry.register(Change::new(Put(things.clone())));
    registry.register(Change::new(Burn(things.clone())));
    registry.register(Read::new(Pick));
    registry
}

/// A person who follows a script; when it is used up, nobody is there.
pub(crate) struct Scripted {
    pub consents: Mutex<Vec<Option<bool>>>,
    pub choices: Mutex<Vec<String>>,
    pub asked: Mutex<Vec<Gate>>,
    /// Done to the world while the person looks at the gate.
    pub meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    pub always: bool,
    /// Answers like a flag.
    pub at_once: bool,
}

impl Scripted {
    pub(crate) fn yes() -> Arc<Self> {
        Self::with(vec![], true)
    }

    /// `--yes`.
    pub(crate) fn flag(meanwhile: impl FnOnce() + Send + 'static) -> Arc<Self> {
        let mut flag = Arc::into_inner(Self::yes()).unwrap();
        flag.at_once = true;
        *flag.meanwhile.get_mut().unwrap() = Some(Box::new(meanwhile));
        Arc::new(flag)
    }

    pub(crate) fn with(consents: Vec<Option<bool>>, always: bool) -> Arc<Self> {
        Arc::new(Self {
            consents: Mutex::new(consents),
            choices: Mutex::default(),
            asked: Mutex::default(),
            meanwhile: Mutex::default(),
            always,
            at_once: false,
        })
    }
}

#[async_trait]
impl Operator for Scripted {
    async fn consent(&self, _at: &AskedOf, gate: &Gate) -> Answer<bool> {
        self.asked.lock().unwrap().push(gate.clone());
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().take() {
            meanwhile();
        }
        let mut consents = self.consents.lock().unwrap();
        let next = if consents.is_empty() { self.always.then_some(true) } else { consents.remove(0) };
        match next {
            Some(value) => Answer::Given(Decided {
                value,
                by: "anna".to_owned(),
                via: None,
                reason: None,
                at_once: self.at_once,
            }),
            None => Answer::Nobody,
        }
    }

    async fn choose(&self, _at: &AskedOf, _question: &Question) -> Answer<String> {
        let mut choices = self.choices.lock().unwrap();
        if choices.is_empty() {
            return Answer::Nobody;
        }
        Answer::Given(Decided {
            value: choices.remove(0),
            by: "anna".to_owned(),
            via: None,
            reason: None,
            at_once: self.at_once,
        })
    }

    async fn is_member(&self, _account: &str, _group: &str) -> Option<bool> {
        None
    }
}

pub(crate) fn world(things: &Shared, operator: Arc<impl Operator + 'static>) -> World {
    World {
        registry: registry(things),
        site: Arc::new(Nowhere(things.clone())),
        operator,
        policy: Arc::new(engine::policy::NoPolicy),
        budget: Arc::new(engine::budget::NoBudget),
        locks: Arc::new(engine::lock::MemoryLocks::default()),
        redactor: engine::redact::Redactor::default(),
        listener: Arc::new(|_: &Event| {}),
        cancel: CancellationToken::new(),
    }
}

/// A journal that keeps what would be on disk, and dies after so many entries.
#[derive(Clone, Default)]
pub(crate) struct Dying {
    pub disk: Arc<Mutex<Vec<Record>>>,
    pub unsynced: Arc<Mutex<Vec<Record>>>,
    pub entries: Arc<Mutex<usize>>,
    pub dies_after: Option<usize>,
    pub seq: u64,
}

impl Journal for Dying {
    fn append(&mut self, at: Timestamp, entry: Entry) -> Result<Record, JournalError> {
        let mut entries = self.entries.lock().unwrap();
        if self.dies_after == Some(*entries) {
            return Err(JournalError::NoRun("killed".to_owned()));
        }
        *entries += 1;
        self.seq += 1;
        // Through its written form and back, as a process that starts again would read it.
        let record = Record { seq: self.seq, at, prev: String::new(), entry };
        let record: Record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        let mut unsynced = self.unsynced.lock().unwrap();
        unsynced.push(record.clone());
        if record.entry.durable() {
            self.disk.lock().unwrap().append(&mut unsynced);
        }
        Ok(record)
    }
}

pub(crate) fn started(nodes: Vec<Node>, vars: Vec<(String, Value)>) -> Started {
    let start = nodes[0].id.clone();
    let scope = Scope { runbook: "test".to_owned(), inputs: BTreeMap::new(), vars };
    Started {
        run: RunId::new(Timestamp::UNIX_EPOCH, 7),
        program: "test".to_owned(),
        plan: Arc::new(PlanData {
            format: 1,
            runbook: "test".to_owned(),
            title: "Test".to_owned(),
            severity: None,
            source_digest: String::new(),
            scopes: BTreeMap::from([(String::new(), scope)]),
            start,
            nodes,
        }),
        inputs: BTreeMap::new(),
        secrets: BTreeMap::new(),
        operator: "anna".to_owned(),
        host: "login1".to_owned(),
        mode: Mode::Live,
        target: String::new(),
        place: None,
    }
}

/// A node with a step; `next` is `outcome>target` words, `*>target` for all others.
pub(crate) fn node(id: &str, kind: &str, with: Value, next: &str) -> Node {
    let mut edges = Next::default();
    for word in next.split_whitespace() {
        let (outcome, to) = word.split_once('>').unwrap();
        match outcome {
            "*" => edges.otherwise = Some(to.to_owned()),
            _ => edges.edges.push(Edge { outcome: outcome.to_owned(), to: to.to_owned(), label: None }),
        }
    }
    let spec = registry(&Shared::default()).get(kind).unwrap().spec().clone();
    let outcomes: Vec<String> = spec.outcomes.of(&with).into_iter().map(|outcome| outcome.name).collect();
    Node {
        id: id.to_owned(),
        scope: String::new(),
        title: id.to_owned(),
        flow: None,
        why: None,
        body: Body::Step(Box::new(StepNode {
            kind: kind.to_owned(),
            with,
            approve: Approve::Default,
            undo: Undo::Auto,
            retry: Retry::default(),
            timeout: None,
            max_visits: None,
            on_failure: OnFailure::Stop,
            for_each: None,
            refine: vec![],
            set: vec![],
            outcomes,
            next: edges,
            declined: None,
        })),
    }
}

/// The same node with its step changed.
pub(crate) fn but(mut node: Node, change: impl FnOnce(&mut StepNode)) -> Node {
    if let Body::Step(step) = &mut node.body {
        change(step);
        if step.for_each.is_some() {
            step.outcomes.push("mixed".to_owned());
        }
    }
    node
}

pub(crate) fn end(id: &str, end: EndKind) -> Node {
    let message = Some("{{ run.runbook }} ended".to_owned());
    Node {
        id: id.to_owned(),
        scope: String::new(),
        title: id.to_owned(),
        flow: None,
        why: None,
        body: Body::End { end, message },
    }
}

/// Walks to the end with a journal that lives on.
pub(crate) async fn walk(started: Started, world: World) -> (Ending, Dying) {
    let journal = Dying::default();
    let mut walker = Walker::start(started, journal.clone(), world).unwrap();
    let ending = walker.walk().await.unwrap();
    (ending, journal)
}

/// Takes a run up from what is on disk.
pub(crate) async fn resume(journal: &Dying, world: World) -> Result<Ending, WalkError> {
    let records = journal.disk.lock().unwrap().clone();
    let again = Dying { disk: Arc::clone(&journal.disk), ..Dying::default() };
    let mut walker = Walker::resume(again, &records, "ben".to_owned(), "login2".to_owned(), world)?;
    walker.walk().await
}

/// Takes a run back from what is on disk; the process dies after so many entries.
pub(crate) async fn roll_back(
    journal: &Dying,
    world: World,
    asked: &Rollback,
    dies_after: Option<usize>,
) -> Result<Ending, WalkError> {
    let records = journal.disk.lock().unwrap().clone();
    let again = Dying { disk: Arc::clone(&journal.disk), dies_after, ..Dying::default() };
    let (who, host) = ("ben".to_owned(), "login2".to_owned());
    let mut walker = Walker::roll_back(again, &records, who, host, world, asked)?;
    walker.walk().await
}

/// The nodes and outcomes of a journal, in order.
pub(crate) fn trail(journal: &Dying) -> Vec<String> {
    let all = journal.disk.lock().unwrap();
    let words = all.iter().filter_map(|record| match &record.entry {
        Entry::Finished { node, outcome, .. } => Some(format!("{node}:{outcome}")),
        Entry::Failed { node, .. } => Some(format!("{node}!")),
        Entry::Declined { node, .. } => Some(format!("{node}-")),
        Entry::Ended { node, .. } => Some(node.clone()),
        _ => None,
    });
    words.collect()
}
