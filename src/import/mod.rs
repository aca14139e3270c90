//! A written page → the YAML of a runbook to go on from.

mod attach;
mod first;
mod names;
mod write;

pub(crate) use first::rehearsal;
pub(crate) use write::{blank, runbook};
