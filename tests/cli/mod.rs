//! The `runbook` command.

mod bench;
mod cut_off;
mod help;
mod questions;
mod rehearse;
mod rollback;
mod slurm;
mod unwritable;
mod verify;
mod walk;
