//! A journal that lives as long as the process: for a dry run and a rehearsal that keeps nothing.

use jiff::Timestamp;

use super::chain::Head;
use super::{Journal, JournalError, Record};
use crate::run::Entry;

/// A journal in memory.
pub struct MemoryJournal {
    head: Head,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self { head: Head::empty() }
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, at: Timestamp, entry: Entry) -> Result<Record, JournalError> {
        let record = Record { seq: self.head.seq + 1, at, prev: String::new(), entry };
        self.head.seq = record.seq;
        Ok(record)
    }
}
