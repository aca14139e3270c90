//! The `runbook` command.

pub(crate) mod bench;
mod cut_off;
mod help;
mod locks;
mod questions;
mod rehearse;
mod rollback;
mod slurm;
mod unwritable;
mod verify;
mod walk;
