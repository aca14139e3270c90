//! Every runbook that ships, on every recording: cut off, broken and taken back at every point.

mod case;
mod crash;
mod process;
mod reference;
mod stage;
