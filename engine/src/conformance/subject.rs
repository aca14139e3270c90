//! The store that is tested, and what it is fed with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::journal::{Journal, Record, Store};
use crate::plan::{Body, EndKind, Node, Plan, PlanData, Scope};
use crate::run::{Entry, Mode, RunId, Started};
use crate::template::Standing;

/// A place for runs that can be reached in more than one way.
pub trait Subject {
    /// Another handle on the same place, as another process would have it.
    fn store(&self) -> Arc<dyn Store>;

    /// The lines of a run's journal as they are kept there, without newlines.
    fn lines(&self, run: &RunId) -> Vec<String>;

    /// Puts these lines in their place, as somebody who owns the place could.
    fn tamper(&self, run: &RunId, lines: &[String]);

    /// The account in whose name this process leaves answers.
    fn account(&self) -> String;
}

/// A run of its own for every test.
pub fn run(number: i64) -> RunId {
    RunId::new(Timestamp::from_second(1_000_000_000 + number).unwrap(), 7)
}

/// The moment at which everything happens.
pub fn now() -> Timestamp {
    // A clock of its own: what is kept must come back to the nanosecond.
    Timestamp::new(1_100_000_000, 123_456_789).unwrap()
}

/// The first entry of a run whose plan is one end.
pub(super) fn started(run: &RunId, format: u32) -> Entry {
    let scope = Scope { runbook: "test".to_owned(), inputs: BTreeMap::new(), vars: vec![] };
    let end = Node {
        id: "ok".to_owned(),
        scope: String::new(),
        title: "ok".to_owned(),
        flow: None,
        why: None,
        body: Body::End { end: EndKind::Resolved, message: None },
    };
    let plan = PlanData {
        format,
        runbook: "test".to_owned(),
        title: "Test".to_owned(),
        severity: None,
        source_digest: String::new(),
        scopes: BTreeMap::from([(String::new(), scope)]),
        start: "ok".to_owned(),
        nodes: vec![end],
    };
    Entry::Started(Box::new(Started {
        run: run.clone(),
        program: "test".to_owned(),
        plan: Arc::new(plan),
        inputs: BTreeMap::new(),
        secrets: BTreeMap::new(),
        operator: "ada".to_owned(),
        host: "login1".to_owned(),
        mode: Mode::Live,
        target: "job 1".to_owned(),
        place: None,
    }))
}

/// An entry that must last.
pub fn stopped(why: &str) -> Entry {
    let entry = Entry::Stopped { why: why.to_owned() };
    assert!(entry.durable());
    entry
}

/// An entry that need not last and that nobody waits for.
pub(super) fn looked(summary: &str) -> Entry {
    let entry = Entry::Finished {
        visit: 1,
        node: "look".to_owned(),
        outcome: "good".to_owned(),
        output: Value::Null,
        summary: vec![summary.to_owned()],
        set: BTreeMap::new(),
        standing: Standing::Known,
        changed: false,
        by: None,
    };
    assert!(!entry.durable() && !entry.awaited());
    entry
}

/// Begins a run.
pub fn begun(store: &dyn Store, run: &RunId) -> Box<dyn Journal> {
    let mut journal = store.create(run).unwrap();
    journal.append(now(), started(run, Plan::FORMAT)).unwrap();
    journal
}

/// What was written, in words.
pub(super) fn words(records: &[Record]) -> Vec<String> {
    let word = |record: &Record| match &record.entry {
        Entry::Started(_) => "started".to_owned(),
        Entry::Stopped { why } => why.clone(),
        Entry::Finished { summary, .. } => summary.join(" "),
        other => format!("{other:?}"),
    };
    records.iter().map(word).collect()
}

/// Tries until it is so: that a process is gone is seen by others a moment later.
pub(super) fn soon(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..200 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: not within ten seconds");
}
