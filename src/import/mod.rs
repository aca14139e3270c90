//! A written page → the YAML of a runbook to go on from.

mod attach;
mod names;
mod write;

pub(crate) use write::{blank, runbook};
