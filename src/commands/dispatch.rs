//! From the command line to the command.

use crate::cli::{Command, Runs, Steps};
use crate::error::CliError;
use crate::exit::Exit;

use super::{check, completions, explain, list, rehearse, resume, run, runs, step_alone, steps};

/// Does what was asked.
pub(crate) fn execute(command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => run::execute(args),
        Command::Resume(args) => resume::execute(&args),
        Command::Rehearse(args) => rehearse::execute(args),
        Command::Check(args) => check::execute(&args),
        Command::Explain(args) => explain::execute(&args),
        Command::Runs(Runs::List { json }) => runs::list(json),
        Command::Runs(Runs::Show { run, json }) => runs::show(&run, json),
        Command::List(args) => list::execute(&args),
        Command::Steps(Steps::List { json }) => steps::list(json),
        Command::Steps(Steps::Show { kind, json }) => steps::show(&kind, json),
        Command::Steps(Steps::Run(args)) => step_alone::execute(&args),
        Command::Completions(args) => completions::execute(&args),
    }
}
