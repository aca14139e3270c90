//! Journals and lists of them.

use std::sync::Arc;
use std::time::Duration;

use super::subject::{Subject, begun, looked, now, run, soon, started, stopped, words};
use crate::journal::{JournalError, Store, SummaryState, audit, fold};
use crate::plan::{EndKind, Plan};
use crate::run::{Entry, RunId};
use crate::step::Question;

/// Everything about journals. Wants a place without runs.
pub fn journals(subject: &impl Subject) {
    nothing_is_there(subject);
    what_was_written_comes_back(subject);
    one_process_walks_a_run(subject);
    a_run_whose_process_is_dying_is_waited_for(subject);
    a_process_that_dies_leaves_what_had_to_last(subject);
    what_waits_is_seen_at_once(subject);
    lists_say_how_far_runs_are(subject);
    what_was_done_to_a_journal_is_named(subject);
    a_newer_program_is_not_guessed_at(subject);
}

fn nothing_is_there(subject: &impl Subject) {
    let store = subject.store();
    assert!(store.list().unwrap().0.is_empty(), "that there is no run is no error");
    let none = run(0);
    assert!(store.runs().unwrap().is_empty());
    assert!(matches!(store.records(&none), Err(JournalError::NoRun(_))));
    assert!(matches!(store.lines(&none), Err(JournalError::NoRun(_))));
    assert!(matches!(store.open(&none).map(|_| ()), Err(JournalError::NoRun(_))));
    assert!(matches!(store.summary(&none), Err(JournalError::NoRun(_))));
}

fn what_was_written_comes_back(subject: &impl Subject) {
    let (one, other, id) = (subject.store(), subject.store(), run(1));
    let hostile = "\u{0}\u{1b}[31m \"quoted\" 'single' \\ {} $1 %s\nnew line\r\u{2028} ümläut 🔥 \u{fffd}";
    let mut journal = begun(&*one, &id);
    let written = [
        journal.append(now(), looked("a look")).unwrap(),
        journal.append(now(), stopped(hostile)).unwrap(),
        journal.append(now(), stopped(&"long ".repeat(100_000))).unwrap(),
    ];
    let read = other.records(&id).unwrap();
    assert_eq!(read.len(), 4);
    assert_eq!(read[1..], written, "to the letter and to the nanosecond");
    assert!(one.create(&id).is_err(), "two runs never share a name");
    assert!(other.create(&id).is_err());
    drop(journal);

    let (mut journal, read) = other.open(&id).unwrap();
    assert_eq!(read.len(), 4);
    let next = journal.append(now(), stopped("taken up")).unwrap();
    assert_eq!(next.seq, 5);
    let head = journal.head();
    drop(journal);
    assert_eq!(one.records(&id).unwrap()[4], next);
    assert_eq!(subject.lines(&id).len(), 5);
    let lines = one.lines(&id).unwrap();
    assert_eq!(lines, (subject.lines(&id).join("\n") + "\n").into_bytes());
    let found = audit(&id, &lines);
    assert!(found.holds(), "{found:?}");
    assert_eq!(found.head, head);
}

fn one_process_walks_a_run(subject: &impl Subject) {
    let (one, other, id) = (subject.store(), subject.store(), run(2));
    let journal = begun(&*one, &id);
    for store in [&one, &other] {
        let Err(JournalError::Locked { holder, .. }) = store.open(&id).map(|_| ()) else {
            panic!("a second process may not walk it")
        };
        assert!(holder.contains(&format!("pid {}", std::process::id())), "{holder}");
    }
    assert_eq!(other.summary(&id).unwrap().state, SummaryState::Running);
    drop(journal);
    let (journal, _) = other.open(&id).unwrap();
    assert!(matches!(one.open(&id).map(|_| ()), Err(JournalError::Locked { .. })));
    drop(journal);
    assert_eq!(other.summary(&id).unwrap().state, SummaryState::Interrupted);
}

fn a_run_whose_process_is_dying_is_waited_for(subject: &impl Subject) {
    let (one, other, id) = (subject.store(), subject.store(), run(-1));
    let journal = begun(&*one, &id);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(journal);
        });
        assert_eq!(other.take_up(&id).unwrap().1.len(), 1);
    });
    let journal = one.open(&id).unwrap();
    assert!(matches!(other.take_up(&id).map(|_| ()), Err(JournalError::Locked { .. })), "not for ever");
    drop(journal);
}

fn a_process_that_dies_leaves_what_had_to_last(subject: &impl Subject) {
    let (store, other, id) = (subject.store(), subject.store(), run(3));
    let mut journal = begun(&*store, &id);
    journal.append(now(), looked("before")).unwrap();
    journal.append(now(), stopped("had to last")).unwrap();
    journal.append(now(), looked("need not last")).unwrap();
    // Seen from elsewhere while the process lives: what a crash at this moment would leave.
    let left = words(&other.records(&id).unwrap());
    assert_eq!(left[..3], ["started", "before", "had to last"]);
    drop(journal);
    drop(store);
    soon("the run of a process that is gone can be taken up", || other.open(&id).is_ok());
    let (mut journal, read) = other.open(&id).unwrap();
    journal.append(now(), stopped("went on")).unwrap();
    drop(journal);
    assert_eq!(words(&other.records(&id).unwrap()).last().unwrap(), "went on");
    assert_eq!(read.len() + 1, other.records(&id).unwrap().len());
}

fn what_waits_is_seen_at_once(subject: &impl Subject) {
    let (store, other, id) = (subject.store(), subject.store(), run(4));
    let mut journal = begun(&*store, &id);
    let question = Entry::Asked {
        visit: 1,
        node: "which".to_owned(),
        question: Question { prompt: "Which?".to_owned(), details: vec![], choices: vec![] },
        output: serde_json::Value::Null,
    };
    assert!(question.awaited());
    journal.append(now(), question).unwrap();
    assert_eq!(other.records(&id).unwrap().len(), 2, "whoever is to answer has to see it");
}

fn lists_say_how_far_runs_are(subject: &impl Subject) {
    let (store, other) = (subject.store(), subject.store());
    let (early, late) = (run(5), run(6));
    for id in [&early, &late] {
        let mut journal = begun(&*store, id);
        journal
            .append(now(), Entry::Ended { end: EndKind::Resolved, node: "ok".to_owned(), message: None })
            .unwrap();
        if id == &late {
            let (_, state) = fold(&store.records(id).unwrap()).unwrap();
            journal.let_go(&state).unwrap();
            let head = journal.head();
            drop(journal);
            assert_eq!(store.summary(id).unwrap().head, head, "a tail that is cut off later is missed");
        }
    }
    for id in [&early, &late] {
        let summary = other.summary(id).unwrap();
        assert_eq!((summary.state, summary.end), (SummaryState::Ended, Some(EndKind::Resolved)));
        assert_eq!((&summary.run, summary.started), (id, now()));
    }
    let listed: Vec<RunId> = other.list().unwrap().0.into_iter().map(|summary| summary.run).collect();
    assert_eq!(listed[..2], [late.clone(), early], "newest first");
    let mut sorted = listed.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!(listed, sorted);
    // Those, too, whose entries do not fit one another.
    let runs = other.runs().unwrap();
    assert!(runs.is_sorted_by(|one, next| one > next) && listed.iter().all(|run| runs.contains(run)));

    // What was kept of it is not believed once somebody has taken it up again.
    let (mut journal, _) = other.open(&late).unwrap();
    assert_eq!(store.summary(&late).unwrap().state, SummaryState::Running);
    journal.append(now(), stopped("again")).unwrap();
    drop(journal);
}

fn what_was_done_to_a_journal_is_named(subject: &impl Subject) {
    let (store, id) = (subject.store(), run(7));
    let mut journal = begun(&*store, &id);
    for why in ["one", "two", "three"] {
        journal.append(now(), stopped(why)).unwrap();
    }
    drop(journal);
    let whole = subject.lines(&id);
    let changed: Vec<String> = whole.iter().map(|line| line.replace("\"one\"", "\"won\"")).collect();
    let without = [&whole[..1], &whole[2..]].concat();
    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    let mut spliced = whole.clone();
    spliced.insert(1, subject.lines(&run(1))[1].clone());
    let nonsense = [&whole[..3], &["nonsense".to_owned()]].concat();
    for (lines, at) in [(changed, 3), (without, 2), (swapped, 2), (spliced, 2), (nonsense, 4)] {
        subject.tamper(&id, &lines);
        for result in [store.records(&id).map(|_| ()), store.open(&id).map(|_| ())] {
            let Err(JournalError::Damaged { line, path, .. }) = result else { panic!("{result:?}") };
            assert_eq!(line, at);
            assert!(path.to_string_lossy().contains(id.as_str()), "{}", path.display());
        }
        assert!(!audit(&id, &store.lines(&id).unwrap()).holds());
        assert!(store.runs().unwrap().contains(&id), "whatever became of it");
        let (listed, broken) = store.list().unwrap();
        assert!(!broken.is_empty() && !listed.is_empty(), "one damaged run does not hide the others");
    }
    subject.tamper(&id, &whole);
    assert_eq!(store.records(&id).unwrap().len(), whole.len());
    assert!(store.open(&id).is_ok(), "a failed try to open it holds nothing");
}

fn a_newer_program_is_not_guessed_at(subject: &impl Subject) {
    let (store, id): (Arc<dyn Store>, _) = (subject.store(), run(8));
    let mut journal = store.create(&id).unwrap();
    journal.append(now(), started(&id, Plan::FORMAT + 1)).unwrap();
    drop(journal);
    assert!(matches!(store.records(&id), Err(JournalError::Newer { .. })));
    assert!(matches!(store.open(&id).map(|_| ()), Err(JournalError::Newer { .. })));
}
