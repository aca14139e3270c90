//! Answers that come from another terminal, host or account while the run waits, or came before it did.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::journal::Store;
use engine::run::{AskedOf, Decided, Gate, Replied, Reply, RunId, Word};
use engine::step::Question;
use jiff::Timestamp;

use super::clean::line;

/// An answer is seen within this time.
const GLANCE: Duration = Duration::from_millis(400);

/// How long a run waits where nobody sits at its terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all: it parks.
    #[default]
    Parks,
    /// So long at each gate or question.
    For(Duration),
    /// As long as it takes.
    Endless,
}

/// What may be answered.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Gate(&'a Gate),
    Question(&'a Question),
}

/// What was found.
pub(super) enum Found {
    /// An answer that may count.
    Answer(Answered),
    /// One that does not, and why.
    Note(String),
}

/// An answer that may count.
pub(super) struct Answered {
    pub(super) word: Word,
    by: String,
    via: String,
    reason: Option<String>,
    at: Timestamp,
}

impl Answered {
    /// As the decision that it is.
    pub(super) fn decided<T>(self, value: T) -> Decided<T> {
        Decided { value, by: self.by, via: Some(self.via), reason: self.reason, at_once: false }
    }

    /// For people: `ben, from login2`.
    pub(super) fn who(&self) -> String {
        format!("{}, {}", line(&self.by), line(&self.via))
    }
}

/// Where answers from elsewhere are left.
pub(crate) struct Elsewhere {
    store: Arc<dyn Store>,
    run: RunId,
    pub(super) patience: Patience,
    /// What was handed over, and what was told.
    done: Mutex<HashSet<String>>,
}

impl Elsewhere {
    /// The answers that are left for a run.
    pub(crate) fn new(store: Arc<dyn Store>, run: RunId, patience: Patience) -> Self {
        Self { store, run, patience, done: Mutex::default() }
    }

    /// The state that the run shares with others.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Looks once.
    pub(super) async fn now(&self, at: &AskedOf, asked: Asked<'_>) -> Option<Found> {
        let (store, run) = (Arc::clone(&self.store), self.run.clone());
        // A file system that hangs must not keep a signal from being heard.
        let looked = tokio::task::spawn_blocking(move || Ok((store.replies(&run)?, store.spoilt(&run)?)));
        let looked: Result<_, engine::journal::JournalError> = looked.await.ok()?;
        match looked {
            Ok((replies, spoilt)) => self.answer(at, asked, replies).or_else(|| {
                spoilt.into_iter().find_map(|what| self.note(format!("not counted: {}", line(&what))))
            }),
            Err(error) => self.note(format!("cannot look for answers: {}", line(&error.to_string()))),
        }
    }

    /// Looks until there is something.
    pub(super) async fn next(&self, at: &AskedOf, asked: Asked<'_>) -> Found {
        loop {
            if let Some(found) = self.now(at, asked).await {
                return found;
            }
            let (store, run) = (Arc::clone(&self.store), self.run.clone());
            let waited = tokio::task::spawn_blocking(move || store.wait(&run, GLANCE)).await;
            if !matches!(waited, Ok(Ok(()))) {
                tokio::time::sleep(GLANCE).await;
            }
        }
    }

    /// Remembers that an answer was handed over.
    pub(super) fn take(&self, answered: &Answered) {
        self.done().insert(key(&answered.by, answered.at));
    }

    /// The oldest answer that may count, or what there is to say of one that does not.
    fn answer(&self, at: &AskedOf, asked: Asked<'_>, replies: Vec<Replied>) -> Option<Found> {
        let about = match asked {
            Asked::Gate(gate) => gate.about(),
            Asked::Question(question) => Reply::about_question(question),
        };
        let mut before = HashSet::new();
        for Replied { reply, account, at: when } in replies {
            // An earlier visit had its own answers.
            if reply.visit != at.visit || self.done().contains(&key(&account, when)) {
                continue;
            }
            let via = format!("from {}", reply.host.chars().take(64).collect::<String>());
            let said = |why: &str| format!("{}, {}: {why}", line(&account), line(&via));
            let heard = match (asked, &reply.word) {
                _ if reply.about != about => {
                    let why = "not counted, because it is about what was shown before; look and answer again";
                    if let Some(note) = self.note(said(why)) {
                        return Some(note);
                    }
                    continue;
                }
                (Asked::Gate(_), Word::Approve) => at.hears(&account, true),
                (Asked::Gate(_), Word::Deny) => at.hears(&account, false),
                (Asked::Question(question), Word::Choose(outcome)) => {
                    question.choices.iter().any(|choice| choice.outcome == *outcome)
                }
                _ => false,
            };
            let first = before.insert(account.clone());
            if heard {
                let (word, reason) = (reply.word, reply.reason);
                return Some(Found::Answer(Answered { word, by: account, via, reason, at: when }));
            }
            // The first of an account that has answered already is the answer that was counted.
            if !(first && at.answered.contains(&account))
                && let Some(note) = self.note(said("not counted: an account is heard once"))
            {
                return Some(note);
            }
        }
        None
    }

    /// What was not said yet.
    fn note(&self, text: String) -> Option<Found> {
        self.done().insert(text.clone()).then_some(Found::Note(text))
    }

    fn done(&self) -> MutexGuard<'_, HashSet<String>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(account: &str, at: Timestamp) -> String {
    format!("{account} {at}")
}
