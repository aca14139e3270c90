//! The `runbook` command.

mod bench;
mod cut_off;
mod help;
mod questions;
mod rehearse;
mod slurm;
mod walk;
