//! What drifts between consent and act voids the consent: while the person looks at the gate, and in the last moment, when
//! the intent is on disk. A thousand drifts, none of which is acted over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::journal::{DirStore, Record, Store};
use engine::run::{Answer, AskedOf, Entry, Gate, Operator};
use engine::site::{Site, digest};
use engine::step::{Around, Performed, Question, Registry, Step, StepCx, StepError, Wrapped};
use engine::walk::Ending;
use serde_json::{Value, json};

use super::case::registry;
use super::process::{Disk, End, Left, given};
use super::reference::Reference;
use super::stage::{Stage, Told};

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    /// Between the two previews: the person looks at the gate.
    AtTheGate,
    /// After the second preview and the intent, right before the effect.
    AtTheAct,
    /// Between the answer and the act, in which another process takes the run up.
    BetweenProcesses,
}

/// What happens.
#[derive(Debug, Clone)]
enum What {
    /// Somebody edits a file.
    File { path: String, how: usize },
    /// Somebody writes a file into a directory.
    Grown { dir: String, by: u64 },
    /// Slurm says something else of a job, a node, or itself.
    Told(Vec<Told>),
    /// The first entry is another: inputs, variables, the runbook.
    Started(&'static str),
}

/// A drift, and the words of which one must be said.
struct Drift {
    what: What,
    when: When,
    visit: u64,
    names: Vec<String>,
    happened: Mutex<usize>,
}

impl Drift {
    async fn happen(&self, stage: &Stage) {
        *self.happened.lock().unwrap() += 1;
        match &self.what {
            What::Told(told) => stage.seen().told.extend(told.iter().cloned()),
            What::Grown { dir, by } => stage.seen().grown = Some((dir.clone(), *by)),
            What::File { path, how } => {
                let world = stage.world();
                let mut content = world.read_all(path, 1 << 20).await.unwrap();
                let now = digest(&content);
                match how % 4 {
                    0 => content.extend_from_slice(b"# a colleague was here\n"),
                    1 => content.truncate(content.len() / 2),
                    2 => content.insert(how % content.len(), b' '),
                    _ => {
                        let at = how % content.len();
                        content[at] = if content[at] == b'7' { b'8' } else { b'7' };
                    }
                }
                world.replace(path, Some(&now), &content).await.unwrap();
            }
            What::Started(_) => {}
        }
    }
}

/// Numbers that look like chance and are the same every time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }
}

/// What the first entry says otherwise, and the words for it.
const STARTS: &[(&str, &str)] = &[
    ("inputs", "the inputs are others"),
    ("runbook", "the runbook is another"),
    ("vars", "the evidence is another"),
];

/// When what a step shows can drift. A command of the author's and a message are nothing but their parameters: those come of
/// entries that this process wrote, so only another process can find others.
fn whens(kind: &str) -> &'static [When] {
    match kind {
        "shell" | "ssh" | "notify" => &[When::BetweenProcesses],
        _ => &[When::AtTheGate, When::AtTheAct, When::BetweenProcesses],
    }
}

/// What may drift before this act. What Slurm's states and reasons can become is written as Slurm writes it.
fn drift(dice: &mut Dice, kind: &str, intent: &Value, visit: u64) -> Drift {
    let when = dice.pick(&[When::AtTheGate, When::AtTheAct]);
    let started = |what| (What::Started(what), When::BetweenProcesses);
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let file = |dice: &mut Dice, path: String| {
        // A file that cannot be read any more makes another edit.
        let (how, names) = (dice.roll(4000), vec![path.clone(), "its edits".to_owned()]);
        ((What::File { path, how }, when), names)
    };
    let ((what, when), names) = match dice.roll(6) {
        _ if whens(kind).len() == 1 => {
            let (what, says) = dice.pick(STARTS);
            (started(what), vec![says.to_owned()])
        }
        0 => {
            let (what, says) = dice.pick(STARTS);
            (started(what), vec![says.to_owned()])
        }
        _ if kind == "checkpoint.pin" => {
            // Links follow what is written into its files; which there are, and how long, is what was shown.
            let source = word(&intent["source"]);
            let (by, names) =
                (1 + dice.roll(4000) as u64, vec![source.clone(), "there is to know".to_owned()]);
            ((What::Grown { dir: source, by }, when), names)
        }
        _ if kind.starts_with("launch.") => {
            let files = intent["files"].as_array().unwrap();
            let path = word(&files[dice.roll(files.len())]["path"]);
            file(dice, path)
        }
        1 if kind == "slurm.submit" && intent["script"].is_string() => file(dice, word(&intent["script"])),
        _ if kind == "slurm.drain" => {
            let node = word(&intent["node"]);
            let state = word(&intent["state"]);
            let other =
                dice.pick(&["MIXED", "ALLOCATED", "DOWN", "IDLE+DRAIN", "MIXED+DRAIN", "IDLE+PLANNED"]);
            let by = format!("RMA {} of somebody else [ops@2026-11-24T01:00:00]", dice.roll(9000));
            let show = ["scontrol", "-o", "show", "node", &node].map(str::to_owned).to_vec();
            let reason = |names: Vec<String>| {
                let told = Told::after(show.clone(), &format!("State={state}"), &format!(" Reason={by}"));
                (What::Told(vec![told]), names)
            };
            let (what, names) = match dice.roll(3) {
                0 => reason(vec![by.split(" [").next().unwrap().to_owned()]),
                1 => (What::Told(vec![Told::field(show, "State", other)]), vec![other.to_owned()]),
                _ => {
                    let told = vec![
                        Told::after(show.clone(), &format!("State={state}"), &format!(" Reason={by}")),
                        Told::field(show, "State", other),
                    ];
                    (What::Told(told), vec![other.to_owned(), "RMA".to_owned()])
                }
            };
            ((what, when), [names, vec!["there is to know".to_owned()]].concat())
        }
        _ => {
            let job = word(&intent["pin"]["job"]);
            let show = ["scontrol", "-o", "show", "job", &job].map(str::to_owned).to_vec();
            let field = |name: &str, value: String| What::Told(vec![Told::field(show.clone(), name, &value)]);
            let later = 1_795_800_000 + dice.roll(100_000);
            let restarts = 1 + dice.roll(9);
            let (what, names) = match dice.roll(4) {
                0 => (field("Restarts", restarts.to_string()), "restarts"),
                // The id was given to another job, which was submitted later.
                1 => (field("SubmitTime", later.to_string()), "time of submission"),
                2 => {
                    let config = ["scontrol", "show", "config"].map(str::to_owned).to_vec();
                    let told =
                        Told::after(config, "ClusterName             = ", &format!("other{restarts}-"));
                    (What::Told(vec![told]), "cluster")
                }
                _ => {
                    let alive = ["PENDING", "SUSPENDED", "RUNNING"];
                    let ended = ["COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"];
                    let states = match kind {
                        "slurm.cancel" => [&alive[..2], &ended].concat(),
                        _ => alive.to_vec(),
                    };
                    let state = dice.pick(&states);
                    let queue = ["squeue", "-h", "-j", &job].map(str::to_owned).to_vec();
                    let told = vec![
                        Told::field(show.clone(), "JobState", state),
                        Told::line(queue, &format!("{state}\u{1f}gpu-20")),
                    ];
                    (What::Told(told), state)
                }
            };
            let said = [names, "there is to know", "what it is pinned to"];
            ((what, when), said.map(str::to_owned).to_vec())
        }
    };
    Drift { what, when, visit, names, happened: Mutex::default() }
}

/// A person who agrees once, to what the gate of one visit shows, and then is gone.
struct Person {
    stage: Arc<Stage>,
    drift: Arc<Drift>,
    answers: BTreeMap<String, String>,
    agrees: Mutex<bool>,
}

#[async_trait]
impl Operator for Person {
    async fn consent(&self, at: &AskedOf, _gate: &Gate) -> Answer<bool> {
        if at.visit != self.drift.visit || !std::mem::take(&mut *self.agrees.lock().unwrap()) {
            return Answer::Nobody;
        }
        if self.drift.when == When::AtTheGate {
            self.drift.happen(&self.stage).await;
        }
        given(true)
    }

    async fn is_member(&self, _account: &str, _group: &str) -> Option<bool> {
        None
    }

    async fn choose(&self, at: &AskedOf, _question: &Question) -> Answer<String> {
        self.answers.get(&at.node).map_or(Answer::Nobody, |answer| given(answer.clone()))
    }
}

/// A step before whose act the world drifts.
struct Drifting(Arc<dyn Step>, Arc<Drift>, Arc<Stage>);

#[async_trait]
impl Around for Drifting {
    fn inner(&self) -> &dyn Step {
        &*self.0
    }

    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        if self.1.when == When::AtTheAct && self.0.effect(params).changes() {
            self.1.happen(&self.2).await;
        }
        self.0.perform(cx, params, intent).await
    }
}

fn drifting(drift: &Arc<Drift>, stage: &Arc<Stage>) -> Registry {
    let mut drifting = Registry::default();
    for step in registry().steps() {
        drifting.register(Wrapped(Drifting(Arc::clone(step), Arc::clone(drift), Arc::clone(stage))));
    }
    drifting
}

/// One change of one recorded run.
struct Act {
    reference: Arc<Reference>,
    visit: u64,
    node: String,
    kind: String,
    intent: Value,
    /// The entry that opened its gate, and the one that answered it.
    gate: usize,
    answered: usize,
}

fn acts(reference: &Arc<Reference>) -> Vec<Act> {
    let at = |wanted: u64, kind: fn(&Entry) -> Option<u64>| {
        reference.records.iter().position(|record| kind(&record.entry) == Some(wanted)).unwrap() + 1
    };
    let act = |record: &Record| match &record.entry {
        Entry::Intended { visit, node, act, .. } => Some(Act {
            reference: Arc::clone(reference),
            visit: *visit,
            node: node.clone(),
            kind: act.kind.clone(),
            intent: act.intent.clone(),
            gate: at(*visit, |entry| match entry {
                Entry::GateOpened { visit, .. } => Some(*visit),
                _ => None,
            }),
            answered: at(*visit, |entry| match entry {
                Entry::GateAnswered { visit, .. } => Some(*visit),
                _ => None,
            }),
        }),
        _ => None,
    };
    reference.records.iter().filter_map(act).collect()
}

/// The lines of a journal in which the first entry is another.
fn other_start(act: &Act, what: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let run = act.reference.case.started().run;
    let store = DirStore::new(dir.path());
    let mut journal = store.create(&run).unwrap();
    for record in &act.reference.records[..act.answered] {
        let mut entry = record.entry.clone();
        match &mut entry {
            Entry::Started(started) if what == "inputs" => {
                started.inputs.insert("max_relaunches".to_owned(), json!(99));
            }
            Entry::Started(started) if what == "runbook" => {
                let plan = Arc::make_mut(&mut started.plan);
                plan.source_digest = digest(b"another");
            }
            Entry::Started(started) if what == "vars" => {
                let scope = Arc::make_mut(&mut started.plan).scopes.get_mut("").unwrap();
                scope.vars.push(("drifted".to_owned(), json!(true)));
            }
            _ => {}
        }
        journal.append(record.at, entry).unwrap();
    }
    drop(journal);
    let text =
        std::fs::read_to_string(dir.path().join("runs").join(run.as_str()).join("journal.jsonl")).unwrap();
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// Lets it drift, and looks that it is refused and said.
async fn refused(act: &Act, drift: Drift) {
    let how = format!(
        "{}: {} of {} drifts {:?}, {:?}",
        act.reference.case.name, act.kind, act.node, drift.when, drift.what
    );
    let drift = Arc::new(drift);
    let (stage, disk, seen) = match drift.what {
        What::Started(what) => {
            let disk = Disk::with(&act.reference.case, &other_start(act, what));
            *drift.happened.lock().unwrap() += 1;
            (act.reference.stages[act.answered].fork(), disk, act.answered)
        }
        _ => {
            let (stage, disk) = act.reference.before(act.gate);
            (stage, disk, 0)
        }
    };
    let before = stage.seen().changes.clone();
    let person = Person {
        stage: Arc::clone(&stage),
        drift: Arc::clone(&drift),
        answers: act.reference.case.answers.clone(),
        agrees: Mutex::new(drift.when != When::BetweenProcesses),
    };
    let end = disk.walk(&stage, drifting(&drift, &stage), Arc::new(person), Left::Killed).await;
    let End::Rest(ending, records) = end else { panic!("{how}: it died") };
    assert_eq!(*drift.happened.lock().unwrap(), 1, "{how}: it never came to that");
    assert_eq!(stage.seen().changes, before, "{how}: it was acted over");
    assert_eq!(stage.seen().wrong, Vec::<String>::new(), "{how}");
    assert!(!matches!(ending, Ending::Interrupted), "{how}: {ending:?}");
    // What is said of it stands in what was written since: the gate that asks again, the break, or the answer.
    let said: Vec<String> = records
        .iter()
        .skip(seen)
        .filter_map(|record| match &record.entry {
            Entry::GateOpened { gate, visit, .. } if *visit == act.visit && gate.again => {
                Some(gate.changed.join("; "))
            }
            Entry::Failed { visit, error, .. } if *visit == act.visit => Some(error.to_string()),
            Entry::Finished { visit, output, summary, .. } if *visit == act.visit => {
                Some(format!("{} {output}", summary.join("; ")))
            }
            _ => None,
        })
        .collect();
    let said = said.join("\n");
    assert!(
        drift.names.iter().any(|name| said.contains(name)),
        "{how}: of {:?} nothing in: {said}",
        drift.names
    );
}

async fn all_refused(kinds: &[&str], cases: &[(&str, &str)], seed: u64, count: usize) {
    let mut all = Vec::new();
    for (runbook, recording) in cases {
        all.extend(acts(&Reference::shared(runbook, recording).await));
    }
    all.retain(|act| kinds.iter().any(|kind| act.kind.starts_with(kind)));
    let mut dice = Dice(seed);
    let mut met = BTreeSet::new();
    for _ in 0..count {
        let act = &all[dice.roll(all.len())];
        let drift = drift(&mut dice, &act.kind, &act.intent, act.visit);
        met.insert((act.kind.as_str(), drift.when));
        refused(act, drift).await;
    }
    for act in &all {
        for &when in whens(&act.kind) {
            assert!(met.contains(&(&act.kind, when)), "{} never drifted {when:?}", act.kind);
        }
    }
}

const CASES: &[(&str, &str)] = &[
    ("training-oom", "fragmentation"),
    ("training-oom", "true-oom"),
    ("training-oom", "hugging-face"),
    ("training-oom", "faulty-gpu"),
    ("training-oom", "reduced"),
    ("training-oom", "co-tenant"),
    ("training-oom", "taken-back"),
    ("training-oom", "crowded"),
    ("nccl-hang", "bad-node"),
    ("nccl-hang", "tcp-fallback"),
    ("node-sweep", "one-faulty"),
    ("by-hand", "paused"),
    ("pin", "kept"),
];

#[tokio::test]
async fn of_a_job_that_is_stopped() {
    all_refused(&["slurm.cancel"], CASES, 1, 250).await;
}

#[tokio::test]
async fn of_a_job_that_is_submitted_again() {
    all_refused(&["slurm.submit"], CASES, 2, 300).await;
}

#[tokio::test]
async fn of_files_that_are_edited() {
    all_refused(&["launch."], CASES, 3, 250).await;
}

#[tokio::test]
async fn of_a_node_that_is_drained() {
    all_refused(&["slurm.drain"], CASES, 4, 200).await;
}

#[tokio::test]
async fn of_commands_and_messages() {
    all_refused(&["shell", "ssh", "notify"], CASES, 5, 60).await;
}

#[tokio::test]
async fn of_a_checkpoint_that_is_kept() {
    all_refused(&["checkpoint.pin"], CASES, 6, 60).await;
}

#[tokio::test]
async fn no_step_that_changes_something_is_left_out() {
    let mut drifted = BTreeSet::new();
    for (runbook, recording) in CASES {
        drifted.extend(acts(&Reference::shared(runbook, recording).await).into_iter().map(|act| act.kind));
    }
    let registry = registry();
    let changes = registry.steps().map(|step| step.spec()).filter(|spec| spec.effect.changes());
    let changes: BTreeSet<String> = changes.map(|spec| spec.kind.to_owned()).collect();
    assert_eq!(drifted, changes);
}
