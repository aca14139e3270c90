//! Out-of-memory messages: text to typed fields, by family. Nothing here does I/O or knows where a text came from.

mod caching;
mod families;
mod frameworks;
mod passage;
mod record;

#[cfg(test)]
mod tests;

pub(crate) use families::read;
pub(crate) use passage::Passage;
pub(crate) use record::{OomMessage, Process, Proof};
