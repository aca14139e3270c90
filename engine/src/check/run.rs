//! The whole check, from text to plan.

use super::resolve::Loaded;
use super::{Findings, Library, lower, runbook};
use crate::diagnostic::{Diagnostic, Severity, SourceFile};
use crate::plan::Plan;
use crate::step::Registry;

/// What a runbook is checked against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The step kinds that nodes can bind to.
    pub registry: &'a Registry,
    /// The runbooks that nodes can run.
    pub library: &'a dyn Library,
    /// Long flags of the command line (without dashes) that inputs must leave alone.
    pub flags: &'a [&'a str],
}

/// What came of a check.
#[derive(Debug)]
pub struct Checked {
    /// The plan, if there was no error.
    pub plan: Option<Plan>,
    /// Everything that was found, by place; warnings do not prevent a plan.
    pub diagnostics: Vec<Diagnostic>,
    /// The files to which the places refer: the runbook itself, then those it runs, then its page if that was looked at.
    pub files: Vec<SourceFile>,
}

impl Checked {
    /// How many errors were found.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// How many warnings were found.
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }
}

/// Checks a runbook and every runbook that it runs as a node, and makes the plan if nothing is wrong.
pub fn check(file: SourceFile, context: &Context<'_>) -> Checked {
    let mut findings = Findings::default();
    let loaded = Loaded::load(file, context.library, context.flags, &mut findings);
    let outcomes: Vec<_> = (0..loaded.documents.len())
        .map(|at| runbook::check(&loaded, at, context.registry, &mut findings))
        .collect();
    let sound = findings.errors() == 0;
    let page = loaded.documents.first().and_then(Option::as_ref).and_then(|document| {
        crate::page::check(document, context.registry, context.library, loaded.files.len(), &mut findings)
    });
    let (mut files, data) =
        if sound { lower::plan(loaded, outcomes, &mut findings) } else { (loaded.files, None) };
    files.extend(page);
    // A plan whose parts do not fit would have been an error above; the type wants it said once more.
    let plan = data.filter(|_| findings.errors() == 0).and_then(|data| Plan::new(data).ok());
    Checked { plan, diagnostics: findings.into_sorted(), files }
}
