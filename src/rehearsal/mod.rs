//! Walks on recorded worlds: scenarios, what they cover, and what an edit of a runbook would alter.

mod faults;
mod impact;
mod junit;
mod memory;
mod people;
mod shelf;
mod stage;
mod suite;

pub(crate) use impact::{Parting, parting, replayed};
pub(crate) use junit::junit;
pub(crate) use people::Scripted;
pub(crate) use shelf::{Script, scripts};
pub(crate) use stage::{Set, Worlds};
pub(crate) use suite::{Suite, Tried, Verdict};
