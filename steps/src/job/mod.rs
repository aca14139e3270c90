//! Following a relaunched job until it has proved itself.

mod arguments;
mod bar;
mod environ;
mod files;
mod follow;
mod memory;
mod probe;
mod ranks;
mod register;
mod start;
mod tally;
mod watch;
mod watching;

pub(crate) use probe::{Checkpoint, CheckpointProbe, OomProbe, Probes};
pub(crate) use register::register;
