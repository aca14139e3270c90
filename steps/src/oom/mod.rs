//! Out-of-memory errors: read them from the logs of a job, and tell what kind they are.

mod classify;
mod document;
mod event;
mod extract;
#[cfg(test)]
mod fixtures;
mod hostile;
mod identities;
mod kind;
mod launcher;
mod lines;
mod logs;
mod logtime;
mod message;
mod outcome;
mod placing;
mod prefix;
mod progress;
mod quoted;
mod read;
#[cfg(test)]
mod read_tests;
mod register;
mod remote;
mod report;
mod scan;
#[cfg(test)]
mod shape_tests;
mod sightings;
mod snapshot;
mod source;
mod stretch;
mod summary;
mod survey;
mod sweep;
mod torch_version;
mod triggers;
mod unpack;

pub use hostile::read_any;
pub(crate) use kind::Kind;
pub(crate) use logs::find;
pub(crate) use progress::step_of;
pub(crate) use read::{OomRead, ReadParams};
pub(crate) use register::register;
pub use snapshot::examine_any;
pub(crate) use source::Source;
pub(crate) use triggers::suspects;
