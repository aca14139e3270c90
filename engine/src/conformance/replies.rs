//! Answers from elsewhere.

use std::thread;
use std::time::{Duration, Instant};

use super::subject::{Subject, begun, run};
use crate::journal::JournalError;
use crate::run::{Reply, Word};

/// Everything about answers.
pub fn replies(subject: &impl Subject) {
    let (walks, answers) = (subject.store(), subject.store());
    let (id, other) = (run(20), run(21));
    let _journal = begun(&*walks, &id);
    let _other = begun(&*walks, &other);
    let reply = |visit: u64, word: Word| Reply {
        run: id.clone(),
        visit,
        about: "digest".to_owned(),
        word,
        reason: Some("\u{0} \u{1b}[2J 'reason' \"quoted\" ü".to_owned()),
        host: "login2".to_owned(),
    };
    assert!(walks.replies(&id).unwrap().is_empty());
    assert!(matches!(
        answers.reply(&Reply { run: run(22), ..reply(1, Word::Deny) }),
        Err(JournalError::NoRun(_))
    ));

    let left = [reply(1, Word::Approve), reply(2, Word::Choose("faulty".to_owned())), reply(2, Word::Deny)];
    for reply in &left {
        answers.reply(reply).unwrap();
    }
    let found = walks.replies(&id).unwrap();
    assert_eq!(
        found.iter().map(|replied| &replied.reply).collect::<Vec<_>>(),
        left.iter().collect::<Vec<_>>()
    );
    for replied in &found {
        assert_eq!(replied.account, subject.account());
        let age = jiff::Timestamp::now().duration_since(replied.at);
        assert!(age.as_secs().abs() < 60, "{age}");
    }
    assert!(walks.replies(&other).unwrap().is_empty(), "an answer is for one run");

    // Whoever waits, as a walk does, sees an answer soon, whether it came before or after.
    let begin = Instant::now();
    let waits = thread::spawn({
        let id = id.clone();
        move || {
            while walks.replies(&id).unwrap().len() < 4 && begin.elapsed() < Duration::from_secs(30) {
                walks.wait(&id, Duration::from_secs(30)).unwrap();
            }
            walks.replies(&id).unwrap().len()
        }
    });
    answers.reply(&reply(3, Word::Approve)).unwrap();
    assert_eq!(waits.join().unwrap(), 4);
    let begin = Instant::now();
    answers.wait(&other, Duration::from_millis(20)).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "it waits no longer than asked");
}
