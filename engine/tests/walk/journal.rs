//! The journal on a real disk.

use std::fs;

use engine::journal::{DirStore, JournalError, Store, SummaryState};
use engine::plan::{EndKind, Node};
use engine::run::{Entry, RunId};
use engine::walk::{Ending, Walker};
use jiff::Timestamp;
use serde_json::json;

use crate::kit::*;

fn nodes() -> Vec<Node> {
    vec![
        node("look", "probe", json!({"thing": "a"}), "*>act"),
        node("act", "put", json!({"thing": "b", "value": "2"}), "*>ok"),
        end("ok", EndKind::Resolved),
    ]
}

fn run_id(at: i64) -> RunId {
    RunId::new(Timestamp::from_second(at).unwrap(), 1)
}

/// Walks a run with these answers and lets go of it.
async fn walked(store: &DirStore, id: &RunId, things: &Shared, consents: Vec<Option<bool>>) -> Ending {
    let mut started = started(nodes(), vec![]);
    started.run = id.clone();
    let person = Scripted::with(consents, false);
    let mut walker = Walker::start(started, store.create(id).unwrap(), world(things, person)).unwrap();
    let ending = walker.walk().await.unwrap();
    let (journal, state) = walker.journal();
    journal.let_go(state).unwrap();
    ending
}

#[tokio::test]
async fn a_run_is_parked_listed_locked_and_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::new(dir.path());
    assert!(store.list().unwrap().0.is_empty(), "no runs yet is no error");
    let (id, things) = (run_id(1), Shared::default());
    things.set("a", "1");
    assert!(matches!(walked(&store, &id, &things, vec![None]).await, Ending::Parked { .. }));
    assert_eq!(store.summary(&id).unwrap().state, SummaryState::Parked);

    let (journal, records) = store.open(&id).unwrap();
    let Err(JournalError::Locked { holder, .. }) = store.open(&id) else {
        panic!("a second process may not walk it")
    };
    assert!(holder.contains(&format!("pid {}", std::process::id())), "{holder}");
    assert_eq!(store.summary(&id).unwrap().state, SummaryState::Running);
    let world = world(&things, Scripted::yes());
    let mut walker = Walker::resume(journal, &records, "ben".to_owned(), "login2".to_owned(), world).unwrap();
    assert!(matches!(walker.walk().await.unwrap(), Ending::Ended { .. }));
    let (journal, state) = walker.journal();
    journal.let_go(state).unwrap();
    drop(walker);
    let summary = store.summary(&id).unwrap();
    assert_eq!((summary.state, summary.end), (SummaryState::Ended, Some(EndKind::Resolved)));

    let later = run_id(100);
    let _ = walked(&store, &later, &things, vec![]).await;
    let listed: Vec<RunId> = store.list().unwrap().0.into_iter().map(|summary| summary.run).collect();
    assert_eq!(listed, [later, id], "newest first");
}

#[tokio::test]
async fn a_torn_tail_is_dropped_and_anything_else_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::new(dir.path());
    let (id, things) = (run_id(1), Shared::default());
    things.set("a", "1");
    let _ = walked(&store, &id, &things, vec![Some(true)]).await;
    let path = dir.path().join("runs").join(id.as_str()).join("journal.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();

    fs::write(&path, format!("{whole}{{\"seq\":99,\"at")).unwrap();
    let (journal, records) = store.open(&id).unwrap();
    assert_eq!(records.len(), lines.len());
    drop(journal);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        whole,
        "the torn line is cut off before anything is appended"
    );

    let damaged = |text: String| {
        fs::write(&path, text).unwrap();
        match store.records(&id) {
            Err(JournalError::Damaged { line, .. }) => line,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        damaged(whole.replacen("\"look\"", "\"luck\"", 1)),
        2,
        "a changed line breaks the chain after it"
    );
    let without = [&lines[..2], &lines[3..]].concat().join("\n") + "\n";
    assert_eq!(damaged(without), 3);
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    assert_eq!(damaged(swapped.join("\n") + "\n"), 2);
}

#[tokio::test]
async fn where_the_journal_stands_is_the_same_at_every_look_of_a_visit() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::new(dir.path());
    let (id, things) = (run_id(1), Shared::default());
    things.set("a", "1");
    assert!(matches!(walked(&store, &id, &things, vec![None]).await, Ending::Parked { .. }));
    let (journal, records) = store.open(&id).unwrap();
    let person = Scripted::yes();
    let world = world(&things, person.clone());
    let mut walker = Walker::resume(journal, &records, "ben".to_owned(), "login2".to_owned(), world).unwrap();
    assert!(matches!(walker.walk().await.unwrap(), Ending::Ended { .. }));
    let asked = person.asked.lock().unwrap();
    let Entry::GateOpened { gate, .. } = &records[2].entry else { panic!("{:?}", records[2]) };
    assert_eq!(asked.len(), 1, "consent to it holds");
    assert_eq!(asked[0].digest, gate.digest, "what was shown before the resume is shown again");
    let audit = engine::journal::audit(&id, &store.lines(&id).unwrap());
    assert!(audit.holds());
    // It is the place before the visit's first entry, as anybody can look up in the journal.
    let place = format!("the journal is at 2-{}", &records[2].prev[..16]);
    assert_eq!(gate.items[0].notes, [place]);
}

#[test]
fn an_id_that_could_leave_the_state_directory_is_none() {
    for text in ["", "..", "../x", "a/b", "-x", "a b", &"a".repeat(65)] {
        assert!(RunId::parse(text).is_err(), "{text}");
    }
    let id = RunId::new(Timestamp::from_second(1_795_000_000).unwrap(), u64::MAX);
    assert_eq!(id.as_str(), "20261118-110640-9999");
    assert_eq!(id.began(), Timestamp::from_second(1_795_000_000).ok());
    assert_eq!(RunId::parse("x").unwrap().began(), None);
    assert_eq!(RunId::parse(id.as_str()), Ok(id));
}

#[test]
fn what_was_never_run_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::new(dir.path());
    assert!(matches!(store.open(&run_id(5)), Err(JournalError::NoRun(_))));
}
