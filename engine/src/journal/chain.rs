//! One line of a journal, chained to the line before it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::run::Entry;
use crate::site::digest;

/// An entry in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Position, from 1.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// SHA-256 of the line before, without its newline; of nothing for the first.
    pub prev: String,
    /// What happened.
    pub entry: Entry,
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub seq: u64,
    pub hash: String,
}

impl Head {
    pub(super) fn empty() -> Self {
        Self { seq: 0, hash: digest(b"") }
    }

    /// Chains an entry on and gives its line, newline included.
    pub(super) fn chain(
        &mut self,
        at: Timestamp,
        entry: Entry,
    ) -> Result<(Record, String), serde_json::Error> {
        let record = Record { seq: self.seq + 1, at, prev: self.hash.clone(), entry };
        let mut line = serde_json::to_string(&record)?;
        self.seq = record.seq;
        self.hash = digest(line.as_bytes());
        line.push('\n');
        Ok((record, line))
    }

    /// Reads the next line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn follow(&mut self, line: &str) -> Result<Record, String> {
        let record: Record = serde_json::from_str(line).map_err(|error| format!("is no entry: {error}"))?;
        if record.prev != self.hash {
            return Err(
                "does not follow the line before it: something was changed, removed or put in".to_owned()
            );
        }
        if record.seq != self.seq + 1 {
            return Err(format!("has number {} where {} is due", record.seq, self.seq + 1));
        }
        self.seq = record.seq;
        self.hash = digest(line.as_bytes());
        Ok(record)
    }
}
