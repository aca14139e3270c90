//! From the command line to the command.

use crate::cli::{Command, RunsCommand, StateCommand, StepsCommand};
use crate::error::CliError;
use crate::exit::Exit;

use super::{
    answer, check, completions, explain, graph, help, impact, list, lsp, new, pending, policy, rehearse,
    report, resume, rollback, run, runs, schema, state, step_alone, steps, test, verify,
};

/// Does what was asked.
pub(crate) fn execute(command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => run::execute(args),
        Command::Resume(args) => resume::execute(&args),
        Command::Rollback(args) => rollback::execute(&args),
        Command::Pending(args) => pending::execute(&args),
        Command::Approve(args) => answer::approve(&args),
        Command::Deny(args) => answer::deny(&args),
        Command::Answer(args) => answer::answer(&args),
        Command::Rehearse(args) => rehearse::execute(args),
        Command::Impact(args) => impact::execute(&args),
        Command::Test(args) => test::execute(&args),
        Command::Check(args) => check::execute(&args),
        Command::Policy(args) => policy::execute(&args),
        Command::New(args) => new::execute(&args),
        Command::Graph(args) => graph::execute(&args),
        Command::Explain(args) => explain::execute(&args),
        Command::Help(args) => help::execute(&args),
        Command::Runs(args) => match args.command {
            None => runs::list(false),
            Some(RunsCommand::List { json }) => runs::list(json),
            Some(RunsCommand::Verify(args)) => verify::execute(&args),
            Some(RunsCommand::Show(args)) => runs::show(&args),
            Some(RunsCommand::Report(args)) => report::execute(&args),
        },
        Command::State(args) => match args.command {
            StateCommand::Init { operators } => state::init(operators.as_deref()),
        },
        Command::List(args) => list::execute(&args),
        Command::Steps(args) => match args.command {
            None => steps::list(None, false),
            Some(StepsCommand::List { beside, json }) => steps::list(beside.as_deref(), json),
            Some(StepsCommand::Show { kind, beside, json }) => steps::show(&kind, beside.as_deref(), json),
            Some(StepsCommand::Schema { beside }) => schema::execute(beside.as_deref()),
            Some(StepsCommand::Run(args)) => step_alone::execute(&args),
        },
        Command::Lsp(_) => lsp::execute(),
        Command::Completions(args) => completions::execute(&args),
    }
}
