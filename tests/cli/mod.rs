//! The `runbook` command.

mod bench;
mod cut_off;
mod help;
mod slurm;
mod walk;
