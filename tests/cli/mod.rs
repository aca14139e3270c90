//! The `runbook` command.

mod approval;
pub(crate) mod bench;
mod book;
mod check;
mod cut_off;
mod external;
mod graph;
mod help;
mod impact;
mod locks;
mod new;
mod picture;
// A release build has one policy, that of its host: no test can give it another.
#[cfg(debug_assertions)]
mod policy;
mod questions;
mod rehearse;
mod replay;
mod report;
mod rollback;
mod secrets;
mod slurm;
mod team;
mod test;
mod tutorial;
mod unwritable;
mod verify;
mod walk;
