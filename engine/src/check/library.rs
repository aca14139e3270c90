//! Where other runbooks come from.

use crate::diagnostic::{Diagnostic, SourceFile};

/// Finds runbooks by name, for nodes with `step: runbook`.
pub trait Library {
    /// The runbook of this name, or `None` if there is none.
    ///
    /// # Errors
    /// If there is one and it cannot be read; the place of the diagnostic is of no matter.
    fn find(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>>;

    /// The page of the runbook that is checked, by the name under which it is written there; `None` if pages are not looked
    /// at.
    ///
    /// # Errors
    /// If it cannot be read; the place of the diagnostic is of no matter.
    fn page(&self, _name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        None
    }

    /// The names of all runbooks, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// A library without runbooks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLibrary;

impl Library for NoLibrary {
    fn find(&self, _name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
