//! From a runbook that was found to the plan that is walked.

use clap::{Args as _, Command};
use engine::check::{Checked, Context, Library, check};
use engine::diagnostic::{Diagnostic, SourceFile};
use engine::plan::Plan;
use engine::source::from_bytes;
use engine::step::Registry;

use crate::cli::{RehearseOptions, RunOptions};
use crate::diagnostics::{Style, render};
use crate::error::CliError;
use crate::external;
use crate::library::{self, Found};
use crate::terminal::{Screen, Stream};

/// The step kinds that are in this program.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    steps::register(&mut registry);
    registry
}

/// The plan of a runbook. The executables that it names as steps are added to the registry.
///
/// # Errors
/// If it does not check: every mistake was shown on standard error.
pub(crate) fn load(found: &Found, registry: &mut Registry) -> Result<Plan, CliError> {
    checked(&found.name, examine(found, registry, false)?)
}

/// The plan of a runbook's text.
///
/// # Errors
/// As [`load`].
pub(crate) fn plan_of(name: &str, bytes: Vec<u8>, registry: &Registry) -> Result<Plan, CliError> {
    checked(name, examine_bytes(name, bytes, registry, None))
}

fn checked(name: &str, checked: Checked) -> Result<Plan, CliError> {
    let errors = checked.errors();
    match checked.plan {
        Some(plan) => Ok(plan),
        None => {
            print(&Screen::on(Stream::Err), &checked);
            Err(CliError::NotChecked { name: name.to_owned(), count: errors })
        }
    }
}

/// Everything that can be found wrong with a runbook. Its page is looked at where nothing is run: a page that is behind must
/// not stop an incident. The executables that it names as steps are added to the registry.
pub(crate) fn examine(found: &Found, registry: &mut Registry, page: bool) -> Result<Checked, CliError> {
    let (name, bytes) = (found.shown(), found.bytes()?);
    let page = page.then_some(found);
    let mut checked = examine_bytes(&name, bytes.clone(), registry, page);
    // Nothing is looked for on behalf of a runbook that needs nothing.
    let (kinds, files) = external::unknown(&checked);
    let others = external::find(&kinds, &files)?;
    if !others.steps.is_empty() {
        others.steps.into_values().for_each(|step| registry.register(step));
        checked = examine_bytes(&name, bytes, registry, page);
    }
    external::explain(&mut checked, &others.refused);
    Ok(checked)
}

fn examine_bytes(name: &str, bytes: Vec<u8>, registry: &Registry, page: Option<&Found>) -> Checked {
    match from_bytes(name, bytes) {
        Ok(file) => examine_with(file, registry, page),
        Err(diagnostic) => {
            let file = SourceFile { name: name.to_owned(), text: String::new() };
            Checked { plan: None, diagnostics: vec![*diagnostic], files: vec![file] }
        }
    }
}

/// Everything that can be found wrong with a text, and with the page beside where it is kept.
pub(crate) fn examine_text(file: SourceFile, registry: &Registry, page: Option<&Found>) -> Checked {
    examine_with(file, registry, page)
}

fn examine_with(file: SourceFile, registry: &Registry, page: Option<&Found>) -> Checked {
    let flags = reserved();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    check(file, &Context { registry, library: &Shelf { page }, flags: &flags })
}

/// Shows what was found.
pub(crate) fn print(screen: &Screen, checked: &Checked) {
    show(screen, &checked.diagnostics, &checked.files);
}

/// Shows diagnostics of these files.
pub(crate) fn show(screen: &Screen, found: &[Diagnostic], files: &[SourceFile]) {
    let style = Style { colour: screen.paint.on(), unicode: screen.glyphs.unicode(), width: screen.width() };
    screen.raw(&render(found, files, style));
}

/// The flags that inputs must leave alone.
fn reserved() -> Vec<String> {
    let run = RunOptions::augment_args(Command::new("run"));
    let rehearse = RehearseOptions::augment_args(Command::new("rehearse"));
    let flags = run.get_arguments().chain(rehearse.get_arguments()).filter_map(|arg| arg.get_long());
    flags.chain(["help", "version"]).map(str::to_owned).collect()
}

/// The runbooks that nodes can run.
struct Shelf<'a> {
    /// The runbook whose page is looked at.
    page: Option<&'a Found>,
}

impl Library for Shelf<'_> {
    fn find(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        let found = library::all().remove(name)?;
        let bytes = found.bytes().ok()?;
        Some(from_bytes(&found.shown(), bytes))
    }

    fn page(&self, name: &str) -> Option<Result<SourceFile, Box<Diagnostic>>> {
        self.page.map(|found| found.page(name))
    }

    fn names(&self) -> Vec<String> {
        library::all().into_keys().collect()
    }
}
