//! The durable, hash-chained list of a run's entries.

mod audit;
mod chain;
mod dir;
mod memory;
mod replies;
mod store;
mod summary;

pub use audit::{Audit, Finding, Noted, Tampering, audit};
pub use chain::{Chain, Head, Record};
pub use dir::DirStore;
pub use memory::MemoryJournal;
pub use store::{Journal, JournalError, Store};
pub use summary::{Summary, SummaryState, fold, summarize};
