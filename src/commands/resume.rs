//! `runbook resume`.

use std::sync::Arc;

use engine::journal::{Record, Store, fold};
use engine::run::{Entry, Mode, RunId, Started};
use engine::walk::{Ending, Walker};

use crate::cli::Resume;
use crate::error::CliError;
use crate::exit::Exit;
use crate::external;
use crate::inputs;
use crate::load::registry;
use crate::place;
use crate::secrets;
use crate::session::Session;
use crate::site;
use crate::target;
use crate::terminal::{Reporter, Screen, Stream, last_words};

use crate::witness::witnessed;

use super::run::{consent, elsewhere, inputs_of};

pub(super) fn execute(args: &Resume) -> Result<Exit, CliError> {
    let store = place::store()?;
    let run = parse_run(&*store, &args.run)?;
    let (journal, records) = store.take_up(&run)?;
    let Some(Entry::Started(started)) = records.first().map(|record| &record.entry) else {
        return Err(CliError::Walk(engine::run::StateError::NoStart.into()));
    };
    real(started)?;
    if let Some(ending) = ended(&records) {
        let screen = Arc::new(Screen::on(if args.json { Stream::Err } else { Stream::Out }));
        let reporter = Reporter::new(Arc::clone(&screen));
        reporter.recall(&records);
        screen.lines(&last_words(&screen, &reporter, &ending, true));
        return Ok(Exit::from(&ending));
    }
    let (_, lock) = inputs::target(&inputs_of(&started.plan), &started.inputs);
    let over = args.takes.take_over.as_deref().map(|text| parse_run(&*store, text)).transpose()?;
    let redactor = secrets::redactor(secrets::again(started)?, None)?;
    let account = place::account_in(&*store);
    let consent = consent(&args.answers, &started.plan)?;
    let elsewhere = elsewhere(&args.answers, &store, &run)?;
    let session = Session::new(args.json)?;
    session.listen(Some(run.clone()))?;
    session.reporter.recall(&records);
    session.reporter.head(started, "");
    let site = site::live_again(args.record.as_deref(), started, &redactor)?;
    let mut registry = registry();
    external::complete(&mut registry, &started.plan, started.place.as_deref())?;
    let world = session.world(
        site.steps(registry),
        site.port(),
        &account,
        consent,
        redactor,
        &started.plan,
        Some(elsewhere),
    );
    let hold = lock
        .map(|lock| {
            target::hold(&session, &world, &lock, &run, &account, over.as_ref(), &started.plan.runbook)
        })
        .transpose()?;
    let mut walker = Walker::resume(witnessed(journal, &run), &records, account, place::host(), world)?;
    let exit = session.walk_held(&mut walker, over, hold).map(|ending| Exit::from(&ending));
    site.parting(&run, exit.as_ref().ok().copied());
    exit
}

/// Refuses a rehearsal.
pub(super) fn real(started: &Started) -> Result<(), CliError> {
    let Mode::Rehearsal { recording } = &started.mode else { return Ok(()) };
    let run = &started.run;
    Err(CliError::usage(
        format!("run {run} is a rehearsal on the recording {recording}: there is nothing to go on with"),
        format!("rehearse it again: runbook rehearse {}", started.plan.runbook),
    ))
}

/// How a run ended, if it did: there is nothing to go on with, and nothing to add to its journal.
pub(super) fn ended(records: &[Record]) -> Option<Ending> {
    let mut last = records.iter().rev().filter_map(|record| match &record.entry {
        Entry::Ended { end, node, message } => {
            Some(Some(Ending::Ended { end: *end, node: node.clone(), message: message.clone() }))
        }
        Entry::RolledBack { .. } => Some(fold(records).ok().map(|(_, state)| Ending::of(&state))),
        Entry::RollbackBegan { .. } => Some(None),
        _ => None,
    });
    last.next().flatten()
}

/// The run of this id. What is unique among all runs may be shortened to its last part.
pub(super) fn parse_run(store: &dyn Store, text: &str) -> Result<RunId, CliError> {
    let no_run = || CliError::Journal(engine::journal::JournalError::NoRun(text.to_owned()));
    let run = RunId::parse(text).map_err(|_| no_run())?;
    // A whole journal may be long; what is longer than a tail is an id.
    if text.len() > 4 || store.records(&run).is_ok() {
        return Ok(run);
    }
    let (runs, _) = store.list()?;
    let mut ending = runs.into_iter().map(|summary| summary.run).filter(|run| run.as_str().ends_with(text));
    match (ending.next(), ending.next()) {
        (Some(run), None) => Ok(run),
        _ => Err(no_run()),
    }
}
