//! A journal that lives as long as the process: for a dry run and a rehearsal that keeps nothing.

use jiff::Timestamp;

use super::{Journal, JournalError, Record};
use crate::run::Entry;

/// A journal in memory.
#[derive(Default)]
pub struct MemoryJournal {
    seq: u64,
}

impl Journal for MemoryJournal {
    fn append(&mut self, at: Timestamp, entry: Entry) -> Result<Record, JournalError> {
        self.seq += 1;
        Ok(Record { seq: self.seq, at, prev: String::new(), entry })
    }
}
