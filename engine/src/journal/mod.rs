//! The durable, hash-chained list of a run's entries.

mod chain;
mod dir;
mod memory;
mod store;

pub use chain::Record;
pub use dir::{DirJournal, Store, Summary, SummaryState};
pub use memory::MemoryJournal;
pub use store::{Journal, JournalError};
