//! A run's journal in the database, taken up by this process.

use std::path::PathBuf;
use std::sync::Arc;

use engine::journal::{Chain, Head, Journal, JournalError, Record, Summary, summarize};
use engine::run::{Entry, RunId, RunState};
use jiff::Timestamp;

use crate::error::{FENCED, FOLLOWS_NOT, Fault, TWICE};
use crate::runs;
use crate::session::Session;

/// Lines that announce nothing are kept back up to this many bytes.
const KEEP_BACK: usize = 64 << 10;

/// Times that lines are sent whose fate was unknown and which turned out not to be there.
const TRIES: usize = 3;

/// A journal that is open for writing.
pub(crate) struct DatabaseJournal {
    session: Arc<Session>,
    run: RunId,
    path: PathBuf,
    /// The number under which this process took the run up.
    epoch: i64,
    chain: Chain,
    /// Where the entries in the database end.
    written: Head,
    /// Lines that are not there yet: they ride along with the next durable one.
    kept: Vec<String>,
    bytes: usize,
    /// Something could not be written: whatever came next would not follow.
    broken: bool,
}

impl DatabaseJournal {
    pub(crate) fn new(session: Arc<Session>, run: RunId, path: PathBuf, chain: Chain, epoch: i64) -> Self {
        let written = chain.head().clone();
        Self { session, run, path, epoch, chain, written, kept: Vec::new(), bytes: 0, broken: false }
    }

    /// Goes on behind what was read.
    pub(crate) fn continue_from(&mut self, chain: Chain) {
        self.written = chain.head().clone();
        self.chain = chain;
    }

    fn flush(&mut self, durable: bool) -> Result<(), JournalError> {
        if self.broken {
            let before = std::io::Error::other("an entry before this one could not be written");
            return Err(JournalError::Io { action: "write", path: self.path.clone(), source: before });
        }
        if self.kept.is_empty() {
            return Ok(());
        }
        let result = self.send(durable);
        match &result {
            Ok(()) => {
                self.written = self.chain.head().clone();
                self.kept.clear();
                self.bytes = 0;
            }
            Err(_) => self.broken = true,
        }
        result
    }

    /// Sends the lines. If it is not known whether they arrived, it is looked up before they are sent again.
    fn send(&self, durable: bool) -> Result<(), JournalError> {
        let io = |fault: Fault| fault.journal("write", &self.path);
        let lines = Arc::new(self.kept.clone());
        let mut fault = Fault::Lost(String::new());
        for _ in 0..TRIES {
            let (lines, run, epoch) = (Arc::clone(&lines), self.run.to_string(), self.epoch);
            let first = (self.written.seq + 1).cast_signed();
            let sent = self
                .session
                .once(|client| async move { runs::add(&client, &run, epoch, first, &lines, durable).await });
            fault = match sent {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            let unknown = matches!(fault, Fault::Lost(_));
            if !unknown && !matches!(fault.code(), Some(FENCED | FOLLOWS_NOT | TWICE)) {
                return Err(io(fault));
            }
            // The session is only back once the server has ended the former one: what that one did is settled.
            if self.arrived()? {
                return Ok(());
            }
            if !unknown {
                return Err(io(fault));
            }
        }
        Err(io(fault))
    }

    /// Whether the lines are in the database, after it could not be told.
    fn arrived(&self) -> Result<bool, JournalError> {
        let run = self.run.to_string();
        let standing = self.session.again(move |client| {
            let run = run.clone();
            async move { runs::standing(&client, &run).await }
        });
        let standing = standing.map_err(|fault| fault.journal("write", &self.path))?;
        let standing = standing.ok_or_else(|| JournalError::NoRun(self.run.to_string()))?;
        if standing.epoch != self.epoch {
            let holder = standing.holder;
            return Err(JournalError::Locked { run: self.run.to_string(), holder });
        }
        let head = standing.head.unwrap_or_else(|| Chain::new(&self.run).head().clone());
        if head == *self.chain.head() {
            return Ok(true);
        }
        if head == self.written {
            return Ok(false);
        }
        let line = usize::try_from(head.seq).unwrap_or(usize::MAX);
        let what = "is not what this process wrote: somebody else added to it".to_owned();
        Err(JournalError::Damaged { path: self.path.clone(), line, what })
    }
}

impl Journal for DatabaseJournal {
    fn append(&mut self, at: Timestamp, entry: Entry) -> Result<Record, JournalError> {
        let (record, mut line) = self.chain.write(at, entry).map_err(|error| JournalError::Io {
            action: "write",
            path: self.path.clone(),
            source: error.into(),
        })?;
        line.pop();
        self.bytes += line.len();
        self.kept.push(line);
        let durable = record.entry.durable();
        if durable || record.entry.awaited() || self.bytes > KEEP_BACK {
            self.flush(durable)?;
        }
        Ok(record)
    }

    fn head(&self) -> Option<Head> {
        Some(if self.broken { self.written.clone() } else { self.chain.head().clone() })
    }

    fn let_go(&mut self, state: &RunState) -> Result<(), JournalError> {
        if self.broken {
            // The state may be ahead of what could be written: lists ask the journal itself.
            return Ok(());
        }
        self.flush(false)?;
        let summary = Summary { head: self.head(), ..summarize(state) };
        let text = serde_json::to_string(&summary).unwrap_or_default();
        let (run, epoch) = (self.run.to_string(), self.epoch);
        let kept = self.session.again(move |client| {
            let (run, text) = (run.clone(), text.clone());
            async move { runs::summarize(&client, &run, epoch, &text).await }
        });
        kept.map_err(|fault| fault.journal("write what lists say of", &self.path))
    }
}

impl Drop for DatabaseJournal {
    fn drop(&mut self) {
        // Nothing here announces a change; what is lost is read again.
        if !self.broken && !self.kept.is_empty() {
            let (lines, run, epoch) = (std::mem::take(&mut self.kept), self.run.to_string(), self.epoch);
            let first = (self.written.seq + 1).cast_signed();
            self.session.if_connected(|client| async move {
                runs::add(&client, &run, epoch, first, &lines, false).await
            });
        }
        let (run, epoch) = (self.run.to_string(), self.epoch);
        self.session.if_connected(|client| async move { runs::release(&client, &run, epoch).await });
    }
}
