//! The launch settings of a training as one whole: the batch script, the words of its launch lines, and the configuration
//! files that they refer to. A setting is read where its last writer put it, and edited there. Pure.

mod at;
mod launch;
mod program;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(super) use at::At;
pub(super) use launch::{File, Launch};
pub(super) use program::Program;
pub(super) use read::{Found, Reading};
