//! `runbook steps schema`.

use crate::exit::Exit;
use crate::load::registry;
use crate::terminal::{Screen, Stream};

/// Prints the JSON Schema of runbooks, for editors.
pub(super) fn execute() -> Exit {
    let schema = engine::language::schema(&registry());
    Screen::on(Stream::Out).line(serde_json::to_string_pretty(&schema).unwrap_or_default());
    Exit::Done
}
