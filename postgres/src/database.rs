//! The store of all runs in a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::budget::{Budget, Limits};
use engine::journal::{Chain, Journal, JournalError, Record, Store, Summary, SummaryState, fold, summarize};
use engine::lock::Locks;
use engine::run::{Replied, Reply, RunId};
use jiff::Timestamp;

use crate::address::Address;
use crate::budget::DatabaseBudget;
use crate::error::{DatabaseError, TWICE};
use crate::journal::DatabaseJournal;
use crate::listener::Listener;
use crate::locks::DatabaseLocks;
use crate::runner::Runner;
use crate::runs::{self, Claimed, Kept};
use crate::session::{Connector, Session};

/// Whether a text names a database and no directory.
pub fn is_address(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// The runs of a team.
#[derive(Clone)]
pub struct Database {
    session: Arc<Session>,
    listener: Arc<Listener>,
    place: String,
    account: String,
    /// Who holds what this process holds, for people.
    holder: String,
}

impl Database {
    /// Connects to a database whose tables were [prepared](crate::prepare).
    ///
    /// # Errors
    /// If it does not answer, lets nobody in, or has not the tables of this program; if the address has a password in it.
    pub fn open(address: &str) -> Result<Self, DatabaseError> {
        let address = Address::parse(address, |name| std::env::var_os(name))?;
        let place = address.place.clone();
        let runner = Arc::new(Runner::new().map_err(DatabaseError::Thread)?);
        let connector = Connector::new(address)?;
        let listener = Arc::new(Listener::new(Arc::clone(&runner), connector.clone()));
        let session = Arc::new(Session::open(runner, connector)?);
        let account = session.again(|client| async move { runs::account(&client).await });
        let account = account
            .map_err(|fault| DatabaseError::Refused { place: place.clone(), why: fault.to_string() })?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let holder = format!("pid {} on {host}, {account}", std::process::id());
        Ok(Self { session, listener, place, account, holder })
    }

    /// The journal of a run, as errors name it.
    fn path(&self, run: &RunId) -> PathBuf {
        PathBuf::from(format!("{} run {run}", self.place))
    }

    fn lines_of(&self, run: &RunId) -> Result<Vec<String>, JournalError> {
        let name = run.to_string();
        let lines = self.session.again(move |client| {
            let name = name.clone();
            async move { runs::lines(&client, &name).await }
        });
        let lines = lines.map_err(|fault| fault.journal("read", &self.path(run)))?;
        if lines.is_empty() { Err(JournalError::NoRun(run.to_string())) } else { Ok(lines) }
    }

    fn read(&self, run: &RunId) -> Result<(Vec<Record>, Chain), JournalError> {
        let (lines, path) = (self.lines_of(run)?, self.path(run));
        let mut chain = Chain::new(run);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        Ok((chain.read(&lines, &path)?, chain))
    }

    fn kept(&self, run: Option<&RunId>, path: &Path) -> Result<Vec<Kept>, JournalError> {
        let name = run.map(RunId::to_string);
        let kept = self.session.again(move |client| {
            let name = name.clone();
            async move { runs::kept(&client, name.as_deref()).await }
        });
        kept.map_err(|fault| fault.journal("list", path))
    }

    fn summary_of(&self, run: &RunId, kept: &Kept) -> Result<Summary, JournalError> {
        // The summary is written when a process lets go of the run; while one walks it, or after one died, the journal
        // itself is asked.
        let summary = kept.summary.as_deref().and_then(|text| serde_json::from_str(text).ok());
        if let Some(summary) = summary.filter(|_| !kept.walked) {
            return Ok(summary);
        }
        let damaged = |what| JournalError::Damaged { path: self.path(run), line: 1, what };
        let mut summary = summarize(&fold(&self.read(run)?.0).map_err(damaged)?.1);
        if kept.walked {
            summary.state = SummaryState::Running;
        }
        Ok(summary)
    }
}

impl Store for Database {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn journal(&self, run: &RunId) -> String {
        self.path(run).display().to_string()
    }

    fn account(&self) -> Option<String> {
        Some(self.account.clone())
    }

    fn create(&self, run: &RunId) -> Result<Box<dyn Journal>, JournalError> {
        let (path, key) = (self.path(run), self.session.key);
        let (name, holder) = (run.to_string(), self.holder.clone());
        let begun =
            self.session.once(|client| async move { runs::begin(&client, &name, key, &holder).await });
        begun.map_err(|fault| match fault.code() {
            Some(TWICE) => JournalError::Io {
                action: "make",
                path: path.clone(),
                source: std::io::ErrorKind::AlreadyExists.into(),
            },
            _ => fault.journal("make", &path),
        })?;
        Ok(Box::new(DatabaseJournal::new(Arc::clone(&self.session), run.clone(), path, Chain::new(run), 1)))
    }

    fn open(&self, run: &RunId) -> Result<(Box<dyn Journal>, Vec<Record>), JournalError> {
        let (path, key) = (self.path(run), self.session.key);
        let (name, holder) = (run.to_string(), self.holder.clone());
        let claimed =
            self.session.once(|client| async move { runs::claim(&client, &name, key, &holder).await });
        let epoch = match claimed.map_err(|fault| fault.journal("lock", &path))? {
            Claimed::Ours(epoch) => epoch,
            Claimed::Taken(holder) => return Err(JournalError::Locked { run: run.to_string(), holder }),
            Claimed::None => return Err(JournalError::NoRun(run.to_string())),
        };
        // From here on it is let go of when this is dropped.
        let mut journal =
            DatabaseJournal::new(Arc::clone(&self.session), run.clone(), path, Chain::new(run), epoch);
        let (records, chain) = self.read(run)?;
        journal.continue_from(chain);
        Ok((Box::new(journal), records))
    }

    fn records(&self, run: &RunId) -> Result<Vec<Record>, JournalError> {
        Ok(self.read(run)?.0)
    }

    fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        let kept = self.kept(None, Path::new(&self.place))?;
        Ok(kept.iter().filter_map(|kept| RunId::parse(&kept.run).ok()).collect())
    }

    fn lines(&self, run: &RunId) -> Result<Vec<u8>, JournalError> {
        let mut text = String::new();
        for line in self.lines_of(run)? {
            text.push_str(&line);
            text.push('\n');
        }
        Ok(text.into_bytes())
    }

    fn summary(&self, run: &RunId) -> Result<Summary, JournalError> {
        let kept = self.kept(Some(run), &self.path(run))?;
        let kept = kept.first().ok_or_else(|| JournalError::NoRun(run.to_string()))?;
        self.summary_of(run, kept)
    }

    fn list(&self) -> Result<(Vec<Summary>, Vec<JournalError>), JournalError> {
        let (mut listed, mut broken) = (Vec::new(), Vec::new());
        for kept in self.kept(None, Path::new(&self.place))? {
            let Ok(run) = RunId::parse(&kept.run) else { continue };
            match self.summary_of(&run, &kept) {
                Ok(summary) => listed.push(summary),
                Err(error) => broken.push(error),
            }
        }
        Ok((listed, broken))
    }

    fn reply(&self, reply: &Reply) -> Result<(), JournalError> {
        let (run, path) = (reply.run.to_string(), self.path(&reply.run));
        let text = serde_json::to_string(reply).unwrap_or_default();
        let left = self.session.once(|client| async move { runs::reply(&client, &run, &text).await });
        match left.map_err(|fault| fault.journal("answer", &path))? {
            true => Ok(()),
            false => Err(JournalError::NoRun(reply.run.to_string())),
        }
    }

    fn replies(&self, run: &RunId) -> Result<Vec<Replied>, JournalError> {
        let name = run.to_string();
        let left = self.session.again(move |client| {
            let name = name.clone();
            async move { runs::replies(&client, &name).await }
        });
        let left = left.map_err(|fault| fault.journal("read the answers for", &self.path(run)))?;
        let replied = left.into_iter().filter_map(|(text, account, at)| {
            let reply: Reply = serde_json::from_str(&text).ok()?;
            Some(Replied { reply, account, at: Timestamp::from_microsecond(at).ok()? })
        });
        Ok(replied.filter(|replied| replied.reply.run == *run).collect())
    }

    fn wait(&self, run: &RunId, limit: Duration) -> Result<(), JournalError> {
        self.listener.wait(run.as_str(), limit);
        Ok(())
    }

    fn budget(&self, limits: Limits) -> Arc<dyn Budget> {
        Arc::new(DatabaseBudget::new(Arc::clone(&self.session), self.place.clone(), limits))
    }

    fn locks(&self) -> Arc<dyn Locks> {
        Arc::new(DatabaseLocks::new(Arc::clone(&self.session), self.place.clone()))
    }
}
