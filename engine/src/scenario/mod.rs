//! What a runbook has to do in a given world: read with every mistake at its place, compared with what happened, counted.
//!
//! Pure: whoever walks the runbook brings what happened.

mod coverage;
mod document;
mod passed;
mod unreached;
mod update;
mod verdict;

pub use coverage::{Counted, Coverage};
pub use document::{Expect, Fault, Scenario, Told, Trouble, Written};
pub use passed::{How, Passed};
pub use unreached::unreached;
pub use update::updated;
pub use verdict::{Happened, Mismatch, mismatches};
