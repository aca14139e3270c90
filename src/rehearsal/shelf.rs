//! The scenarios beside a runbook.

use std::path::PathBuf;

use engine::diagnostic::{Diagnostic, SourceFile};
use engine::plan::PlanData;
use engine::scenario::Scenario;
use engine::source::from_bytes;

use crate::error::CliError;
use crate::library::Found;

/// A scenario's file.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Its name: that of the file.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub file: SourceFile,
}

impl Script {
    /// The scenario in it.
    ///
    /// # Errors
    /// Every mistake, by place.
    pub(crate) fn read(&self, plan: &PlanData) -> Result<Scenario, Vec<Diagnostic>> {
        Scenario::read(&self.file, plan)
    }
}

/// The scenarios that lie in `rehearsals/` beside a runbook, by name.
pub(crate) fn scripts(found: &Found) -> Result<Vec<Script>, CliError> {
    let mut scripts = Vec::new();
    for (name, path) in found.rehearsals() {
        let bytes = std::fs::read(&path).map_err(|error| CliError::read(&path, error))?;
        // What is longer, or no text, was not written by hand.
        let Ok(file) = from_bytes(&path.display().to_string(), bytes) else { continue };
        if Scenario::is_one(&file.text) {
            scripts.push(Script { name, path, file });
        }
    }
    Ok(scripts)
}
