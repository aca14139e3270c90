//! `runbook lsp`.

use crate::error::CliError;
use crate::exit::Exit;

/// Serves an editor until it says goodbye.
pub(super) fn execute() -> Result<Exit, CliError> {
    crate::lsp::serve().map_err(|why| {
        CliError::usage(format!("no editor speaks here: {why}"), "an editor starts this command by itself")
    })?;
    Ok(Exit::Done)
}
