//! One process that walks: its journal is on a disk, its memory is lost when it dies.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::event::Event;
use engine::journal::{DirStore, Journal, JournalError, Record, Store};
use engine::lock::MemoryLocks;
use engine::policy::NoPolicy;
use engine::run::{Answer, AskedOf, Decided, Entry, Gate, Operator};
use engine::step::{Question, Registry};
use engine::walk::{Ending, Walker, World};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::case::Case;
use super::stage::{Moment, Stage};

/// Which part of what a process wrote is found after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It was killed: what it had handed to the kernel.
    Killed,
    /// The machine lost its power: what was synced.
    PowerLost,
    /// It was killed while it wrote: half a line more.
    Torn,
}

/// The disk that outlives the processes.
pub(crate) struct Disk {
    dir: TempDir,
    case: Arc<Case>,
}

/// How a process ended.
pub(crate) enum End {
    /// At rest, with all that is on disk.
    Rest(Ending, Vec<Record>),
    /// It died at this entry or change.
    Dead(String),
}

impl Disk {
    pub(crate) fn new(case: &Arc<Case>) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), case: Arc::clone(case) }
    }

    /// A disk on which a run has got so far.
    pub(crate) fn with(case: &Arc<Case>, lines: &[String]) -> Self {
        let disk = Self::new(case);
        drop(disk.store().create(&case.started().run).unwrap());
        fs::write(disk.journal(), lines.concat()).unwrap();
        disk
    }

    fn store(&self) -> DirStore {
        DirStore::new(self.dir.path())
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("runs").join(self.case.started().run.as_str()).join("journal.jsonl")
    }

    /// The lines on disk, with their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.journal()).unwrap_or_default();
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    /// A process that begins the run, or takes it up from what is on the disk.
    pub(crate) async fn process(&self, stage: &Arc<Stage>, registry: Registry, left: Left) -> End {
        let person = Person { stage: Arc::clone(stage), answers: self.case.answers.clone() };
        self.walk(stage, registry, Arc::new(person), left).await
    }

    /// The same with somebody else at the terminal.
    pub(crate) async fn walk(
        &self,
        stage: &Arc<Stage>,
        registry: Registry,
        operator: Arc<dyn Operator>,
        left: Left,
    ) -> End {
        let written = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&written);
        let world = World {
            registry,
            site: Arc::clone(stage) as _,
            operator,
            listener: Arc::new(move |event: &Event| {
                if let Event::Recorded(record) = event {
                    heard.lock().unwrap().push(record.clone());
                }
            }),
            cancel: CancellationToken::new(),
            policy: Arc::new(NoPolicy),
            locks: Arc::new(MemoryLocks::default()),
            budget: Arc::new(engine::budget::NoBudget),
            redactor: engine::redact::Redactor::default(),
        };
        let store = self.store();
        let run = self.case.started().run;
        let at = |journal, synced| Mortal { journal, stage: Arc::clone(stage), path: self.journal(), synced };
        let mut records = Vec::new();
        let walker = match store.open(&run) {
            Ok((journal, before)) if !before.is_empty() => {
                if let Some(ending) = ended(&before) {
                    return End::Rest(ending, before);
                }
                let synced = fs::metadata(self.journal()).unwrap().len();
                records = before;
                let journal = at(journal, synced);
                Walker::resume(journal, &records, "ben".to_owned(), "login2".to_owned(), world)
            }
            // It died before its first entry: nothing is known of it.
            opened => {
                drop(opened);
                let _ = fs::remove_dir_all(self.dir.path().join("runs"));
                Walker::start(self.case.started(), at(store.create(&run).unwrap(), 0), world)
            }
        };
        let mut walker = match walker {
            Ok(walker) => walker,
            Err(error) => return self.dead(stage, 0, left, &error.to_string()),
        };
        let ending = tokio::select! {
            biased;
            () = stage.died() => None,
            ending = walker.walk() => Some(ending),
        };
        let (killed, synced) = {
            let (journal, _) = walker.journal();
            (fs::metadata(self.journal()).unwrap().len(), journal.synced)
        };
        drop(walker);
        match ending {
            Some(Ok(ending)) if stage.seen().dead.is_none() => {
                records.append(&mut written.lock().unwrap());
                assert_eq!(self.lines().len(), records.len(), "{}: what is on disk", self.case.name);
                End::Rest(ending, records)
            }
            Some(Err(error)) if stage.seen().dead.is_none() => panic!("{}: {error}", self.case.name),
            _ => self.dead(stage, if left == Left::PowerLost { synced } else { killed }, left, ""),
        }
    }

    /// Leaves on the disk what is left of it.
    fn dead(&self, stage: &Stage, length: u64, left: Left, why: &str) -> End {
        let place = stage.seen().dead.clone().unwrap_or_else(|| panic!("{}: {why}", self.case.name));
        let mut file = OpenOptions::new().append(true).open(self.journal()).unwrap();
        file.set_len(length).unwrap();
        if left == Left::Torn {
            file.write_all(br#"{"seq":7,"at":"2026-11-2"#).unwrap();
        }
        End::Dead(place)
    }
}

/// How a run ended, if it did.
fn ended(records: &[Record]) -> Option<Ending> {
    records.iter().rev().find_map(|record| match &record.entry {
        Entry::Ended { end, node, message } => {
            Some(Ending::Ended { end: *end, node: node.clone(), message: message.clone() })
        }
        _ => None,
    })
}

/// A journal with whose process it can be over before or after each entry.
struct Mortal {
    journal: Box<dyn Journal>,
    stage: Arc<Stage>,
    path: PathBuf,
    /// Bytes that a loss of power does not take.
    synced: u64,
}

impl Journal for Mortal {
    fn append(&mut self, at: Timestamp, entry: Entry) -> Result<Record, JournalError> {
        let dead = || Err(JournalError::NoRun("the process is dead".to_owned()));
        // That a process takes the run up is not counted: entries have the numbers of a run without accidents.
        let number = self.stage.seen().entries + usize::from(!matches!(entry, Entry::Resumed { .. }));
        let place = place(&entry);
        if self.stage.fatal(Moment::BeforeEntry(number), &place) {
            return dead();
        }
        let record = self.journal.append(at, entry)?;
        self.stage.seen().entries = number;
        self.stage.wrote(&record.entry);
        if record.entry.durable() {
            self.synced = fs::metadata(&self.path).unwrap().len();
        }
        if self.stage.fatal(Moment::AfterEntry(number), &place) { dead() } else { Ok(record) }
    }
}

/// Type and node of an entry.
pub(crate) fn place(entry: &Entry) -> String {
    let value = serde_json::to_value(entry).unwrap();
    let word = |key: &str| value[key].as_str().unwrap_or("").to_owned();
    format!("{} {} {}", word("type"), word("node"), value["visit"])
}

/// A person who says yes to everything, and the truth when asked what happened.
struct Person {
    stage: Arc<Stage>,
    answers: BTreeMap<String, String>,
}

/// An answer of the one person.
pub(crate) fn given<T>(value: T) -> Answer<T> {
    Answer::Given(Decided { value, by: "anna".to_owned(), via: None, reason: None, at_once: false })
}

#[async_trait]
impl Operator for Person {
    async fn consent(&self, _at: &AskedOf, _gate: &Gate) -> Answer<bool> {
        given(true)
    }

    async fn is_member(&self, _account: &str, _group: &str) -> Option<bool> {
        None
    }

    async fn choose(&self, at: &AskedOf, question: &Question) -> Answer<String> {
        if question.choices.iter().any(|choice| choice.outcome == "not_done") {
            let seen = self.stage.seen();
            let happened = seen.announced.as_ref().is_none_or(|(_, before)| seen.changes.len() > *before);
            return given(if happened { "done" } else { "not_done" }.to_owned());
        }
        self.answers.get(&at.node).map_or(Answer::Nobody, |answer| given(answer.clone()))
    }
}

/// The way of a run: what every visit ended with, what it set, and the end.
pub(crate) fn way(records: &[Record]) -> BTreeMap<u64, (String, String, BTreeMap<String, Value>)> {
    let visit = |record: &Record| match &record.entry {
        Entry::Finished { visit, node, outcome, set, .. } => {
            Some((*visit, (node.clone(), outcome.clone(), set.clone())))
        }
        Entry::Ended { node, end, .. } => {
            Some((u64::MAX, (node.clone(), end.word().to_owned(), BTreeMap::new())))
        }
        _ => None,
    };
    records.iter().filter_map(visit).collect()
}
