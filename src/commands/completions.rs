//! `runbook completions SHELL`.

use clap::CommandFactory;

use crate::cli::{Cli, Completions};
use crate::error::CliError;
use crate::exit::Exit;
use crate::terminal::{Screen, Stream};

pub(super) fn execute(args: &Completions) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "runbook", &mut script);
    Screen::on(Stream::Out).raw(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
