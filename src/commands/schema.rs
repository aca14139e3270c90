//! `runbook steps schema`.

use crate::error::CliError;
use crate::exit::Exit;
use crate::load::registry;
use crate::terminal::{Screen, Stream};

use super::steps;

/// Prints the JSON Schema of runbooks, for editors: the program's own, the same everywhere, or with all steps that can be used
/// in one runbook.
pub(super) fn execute(beside: Option<&str>) -> Result<Exit, CliError> {
    let registry = match beside {
        None => registry(),
        Some(runbook) => steps::all(Some(runbook))?.registry,
    };
    let schema = engine::language::schema(&registry);
    Screen::on(Stream::Out).line(serde_json::to_string_pretty(&schema).unwrap_or_default());
    Ok(Exit::Done)
}
