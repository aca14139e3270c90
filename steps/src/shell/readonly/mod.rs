//! Which commands can be shown to only read. Everything in doubt is a change.

mod classify;
mod rules;
mod word;

#[cfg(test)]
mod table;

pub(super) use classify::{argv_reads, script_reads};
