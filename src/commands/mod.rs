//! One file per command.

mod answer;
mod check;
mod completions;
mod dispatch;
mod explain;
mod graph;
mod help;
mod impact;
mod list;
mod lsp;
mod new;
mod pending;
mod policy;
mod rehearse;
mod report;
mod resume;
mod rollback;
mod run;
mod runs;
mod schema;
mod state;
mod step_alone;
mod steps;
mod test;
mod verify;
mod waiting;

pub(crate) use dispatch::execute;
