//! The command line of `runbook`, as a library: only this crate prints, prompts and ends the process.

mod cli;
mod commands;
mod config;
pub mod diagnostics;
mod error;
mod exit;
mod external;
mod findings;
mod graph;
mod import;
mod inputs;
mod library;
mod load;
mod lsp;
mod markup;
mod place;
mod policy;
mod probed;
mod rehearsal;
mod report;
mod schema;
mod secrets;
mod session;
mod signals;
mod site;
mod target;
mod terminal;
mod witness;

use clap::Parser;

use terminal::{Screen, Stream};

/// Runs the program on the arguments of this process and gives its exit code.
pub fn main_impl() -> std::process::ExitCode {
    let result =
        cli::Cli::try_parse().map_err(error::CliError::from).and_then(|cli| commands::execute(cli.command));
    let exit = result.unwrap_or_else(|error| {
        error.print(&Screen::on(Stream::Err));
        error.exit()
    });
    exit.into()
}
