//! `runbook state`.

use crate::error::CliError;
use crate::exit::Exit;
use crate::place;
use crate::terminal::{Screen, Stream, line};

#[cfg(feature = "postgres")]
pub(super) fn init(operators: Option<&str>) -> Result<Exit, CliError> {
    let Some(address) = place::address() else { return in_a_directory(operators) };
    let done = state_postgres::prepare(&address, operators)?;
    let screen = Screen::on(Stream::Out);
    let place = line(&done.place);
    screen.line(match (done.before, done.now) {
        (0, now) => format!("{place} has the tables for runs now (version {now})."),
        (before, now) if before < now => {
            format!("The tables of {place} went from version {before} to {now}.")
        }
        (_, now) => format!("{place} has the tables for runs (version {now})."),
    });
    if let Some(role) = operators {
        screen.line(format!("Members of {} can run, approve and look at runs.", line(role)));
    }
    for warning in &done.warnings {
        screen.line(format!("{} {}", screen.paint.warn("warning:"), line(warning)));
    }
    Ok(Exit::Done)
}

#[cfg(not(feature = "postgres"))]
pub(super) fn init(operators: Option<&str>) -> Result<Exit, CliError> {
    if place::address().is_some() {
        return place::store().map(|_| Exit::Done);
    }
    in_a_directory(operators)
}

fn in_a_directory(operators: Option<&str>) -> Result<Exit, CliError> {
    if operators.is_some() {
        return Err(CliError::usage(
            "runs are kept in a directory: roles are a database's",
            "the group of the directory and its mode say who may use it",
        ));
    }
    let place = place::store()?.place();
    Screen::on(Stream::Out)
        .line(format!("Runs are kept in {}, which is made with the first run.", line(&place)));
    Ok(Exit::Done)
}
