//! One file per command.

mod check;
mod completions;
mod dispatch;
mod explain;
mod list;
mod rehearse;
mod resume;
mod rollback;
mod run;
mod runs;
mod state;
mod step_alone;
mod steps;
mod verify;

pub(crate) use dispatch::execute;
