//! What the walker needs of a journal.

use std::path::PathBuf;

use super::Record;
use crate::run::Entry;

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
    /// A newer program wrote it.
    #[error("the journal has format {found}; this program reads up to {known}")]
    Newer {
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
}

/// A journal that is open for writing.
pub trait Journal: Send {
    /// Appends an entry. If it is [durable](Entry::durable) it is on disk on return, with all before it.
    ///
    /// # Errors
    /// If it cannot be written: nothing may be done that the entry was to announce.
    fn append(&mut self, at: jiff::Timestamp, entry: Entry) -> Result<Record, JournalError>;
}
