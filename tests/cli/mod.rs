//! The `runbook` command.

mod bench;
mod help;
