//! The command line of `runbook`, as a library: only this crate prints, prompts and ends the process.

pub mod diagnostics;
