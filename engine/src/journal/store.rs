//! What the walker needs of a journal, and the program of all journals together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Head, Record, Summary};
use crate::budget::{Budget, Limits};
use crate::lock::{DYING, Locks};
use crate::run::{Entry, Replied, Reply, RunId, RunState};

/// Why a journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `write`, `read` …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is damaged, or the chain is broken there.
    #[error("{path}, line {line}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Another process walks this run.
    #[error("run {run} is being walked by another process ({holder})")]
    Locked {
        /// The run.
        run: String,
        /// Who: `pid 4711 on login2`.
        holder: String,
    },
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(String),
    /// A newer program wrote it: it is neither continued nor guessed at.
    #[error("{path}, line {line} {what}: a newer program wrote it")]
    Newer {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is newer.
        what: String,
    },
}

/// A journal that is open for writing.
pub trait Journal: Send {
    /// Appends an entry. If it is [durable](Entry::durable) it is on disk on return, with all before it.
    ///
    /// # Errors
    /// If it cannot be written: nothing may be done that the entry was to announce.
    fn append(&mut self, at: jiff::Timestamp, entry: Entry) -> Result<Record, JournalError>;

    /// Where the chain of its entries ends, if it has one.
    fn head(&self) -> Option<Head> {
        None
    }

    /// Told when the process lets go of the run, to keep what lists of runs say of it.
    ///
    /// # Errors
    /// If that cannot be written. It is no part of the journal: nothing is lost.
    fn let_go(&mut self, _state: &RunState) -> Result<(), JournalError> {
        Ok(())
    }
}

impl Journal for Box<dyn Journal> {
    fn append(&mut self, at: jiff::Timestamp, entry: Entry) -> Result<Record, JournalError> {
        (**self).append(at, entry)
    }

    fn head(&self) -> Option<Head> {
        (**self).head()
    }

    fn let_go(&mut self, state: &RunState) -> Result<(), JournalError> {
        (**self).let_go(state)
    }
}

/// The state of all runs of a person or a site: journals, answers left for runs, locks.
///
/// Two implementations pass one conformance suite: a directory, which may lie on NFS, and a PostgreSQL database.
pub trait Store: Send + Sync {
    /// Where it is, for people; without credentials.
    fn place(&self) -> String;

    /// Where the journal of a run is, for people; without credentials.
    fn journal(&self, run: &RunId) -> String;

    /// The account in whose name this process writes here, if that is not the one by which the host knows it.
    fn account(&self) -> Option<String> {
        None
    }

    /// Begins the journal of a new run, which this process walks.
    ///
    /// # Errors
    /// If there is such a run already, or it cannot be written.
    fn create(&self, run: &RunId) -> Result<Box<dyn Journal>, JournalError>;

    /// Opens the journal of a run for continuing it, and gives what is in it.
    ///
    /// # Errors
    /// If there is none, it is damaged, or another process walks it. A last entry that a crash cut off is no damage: it
    /// announced nothing that could have been done, and is dropped.
    fn open(&self, run: &RunId) -> Result<(Box<dyn Journal>, Vec<Record>), JournalError>;

    /// [Opens](Store::open) the journal of a run whose process may be dying just now: its lock is waited for, for a moment.
    ///
    /// # Errors
    /// As for [`open`](Store::open).
    fn take_up(&self, run: &RunId) -> Result<(Box<dyn Journal>, Vec<Record>), JournalError> {
        let begin = Instant::now();
        loop {
            match self.open(run) {
                Err(JournalError::Locked { .. }) if begin.elapsed() < DYING => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => return opened,
            }
        }
    }

    /// Reads the journal of a run without locking it.
    ///
    /// # Errors
    /// If there is none or it is damaged.
    fn records(&self, run: &RunId) -> Result<Vec<Record>, JournalError>;

    /// The ids of all runs, newest first, whatever became of their journals.
    ///
    /// # Errors
    /// If they cannot be listed; that there is none is an empty list.
    fn runs(&self) -> Result<Vec<RunId>, JournalError>;

    /// The lines of a run's journal as they are stored, whatever became of them: for [`audit`](super::audit).
    ///
    /// # Errors
    /// If there is none or it cannot be read.
    fn lines(&self, run: &RunId) -> Result<Vec<u8>, JournalError>;

    /// What a list says of one run.
    ///
    /// # Errors
    /// If there is no such run or its journal is damaged.
    fn summary(&self, run: &RunId) -> Result<Summary, JournalError>;

    /// All runs, newest first. A run that cannot be read is left out of the list and named in the second part.
    ///
    /// # Errors
    /// If they cannot be listed; that there is none is an empty list.
    fn list(&self) -> Result<(Vec<Summary>, Vec<JournalError>), JournalError>;

    /// Leaves an answer for whoever walks the run, in the name of the account of this process.
    ///
    /// # Errors
    /// If there is no such run or it cannot be written.
    fn reply(&self, reply: &Reply) -> Result<(), JournalError>;

    /// The answers that were left for a run, oldest first. What cannot be attributed to an account is left out.
    ///
    /// # Errors
    /// If they cannot be read.
    fn replies(&self, run: &RunId) -> Result<Vec<Replied>, JournalError>;

    /// What was left for a run and is no answer, with why, a line each: told to whoever waits, never counted.
    ///
    /// # Errors
    /// If it cannot be read.
    fn spoilt(&self, _run: &RunId) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }

    /// Blocks until answers for a run may have come, at most so long; returning early is no promise.
    ///
    /// # Errors
    /// If it cannot be waited for.
    fn wait(&self, run: &RunId, limit: Duration) -> Result<(), JournalError>;

    /// The locks of all runs.
    fn locks(&self) -> Arc<dyn Locks>;

    /// The budget of all runs, with these limits.
    fn budget(&self, limits: Limits) -> Arc<dyn Budget>;
}
