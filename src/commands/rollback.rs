//! `runbook rollback`.

use std::collections::BTreeSet;

use engine::journal::{MemoryJournal, Record, fold};
use engine::run::{Change, Entry, RunState, StateError};
use engine::walk::{Ending, Rollback as Asked, Undoable, Walker, World};
use serde_json::json;

use crate::cli::Rollback;
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
use crate::terminal::{Screen, Stream, undoable};
use crate::witness::witnessed;

use super::resume::{parse_run, real};
use super::run::{consent, elsewhere, inputs_of};

pub(super) fn execute(args: &Rollback) -> Result<Exit, CliError> {
    let store = place::store()?;
    let run = parse_run(&*store, &args.run)?;
    let (journal, records) = match args.dry_run {
        true => (None, store.records(&run)?),
        false => store.take_up(&run).map(|(journal, records)| (Some(journal), records))?,
    };
    let Some(Entry::Started(started)) = records.first().map(|record| &record.entry) else {
        return Err(CliError::Walk(StateError::NoStart.into()));
    };
    real(started)?;
    let (_, state) = fold(&records).map_err(|what| CliError::Walk(StateError::Illegal(what).into()))?;
    let asked = asked(args, &state)?;
    if state.changes().iter().filter(|change| change.visit >= asked.to.unwrap_or(1)).all(Change::settled) {
        let screen = Screen::on(if args.json { Stream::Err } else { Stream::Out });
        screen.line(format!("Nothing to take back: run {run} changed nothing that is still there."));
        return Ok(Exit::Done);
    }
    let (_, lock) = inputs::target(&inputs_of(&started.plan), &started.inputs);
    let over = args.takes.take_over.as_deref().map(|text| parse_run(&*store, text)).transpose()?;
    let account = place::account_in(&*store);
    let redactor = secrets::redactor(secrets::again(started)?, None)?;
    let consent = consent(&args.answers, &started.plan)?;
    let elsewhere = elsewhere(&args.answers, &store, &run)?;
    let session = if args.dry_run { Session::quiet(args.json) } else { Session::new(args.json) }?;
    session.reporter.recall(&records);
    let site = site::live(None, started, &redactor)?;
    let mut registry = registry();
    external::complete(&mut registry, &started.plan, started.place.as_deref())?;
    let world =
        session.world(registry, site.port(), &account, consent, redactor, &started.plan, Some(elsewhere));
    let Some(journal) = journal else { return preview(&session, &records, world, &asked, args.json) };
    session.listen(Some(run.clone()))?;
    session.reporter.head(started, "");
    let hold = lock
        .map(|lock| {
            target::hold(&session, &world, &lock, &run, &account, over.as_ref(), &started.plan.runbook)
        })
        .transpose()?;
    let mut walker =
        Walker::roll_back(witnessed(journal, &run), &records, account, place::host(), world, &asked)?;
    let ending = session.walk_held(&mut walker, over, hold)?;
    // That the run broke is why it was asked for, not what came of it.
    Ok(if matches!(ending, Ending::RolledBack { .. }) { Exit::Done } else { Exit::from(&ending) })
}

/// What was asked for, in terms of the run's visits.
fn asked(args: &Rollback, state: &RunState) -> Result<Asked, CliError> {
    let changes = state.changes();
    let newest = |name: &str| {
        let found = changes.iter().find(|change| change.node == name);
        found.map(|change| change.visit).ok_or_else(|| {
            let mut nodes: Vec<&str> = changes.iter().map(|change| change.node.as_str()).collect();
            nodes.dedup();
            let known = if nodes.is_empty() { "it changed nothing".to_owned() } else { nodes.join(", ") };
            CliError::usage(
                format!("the run changed nothing at a node {name}"),
                format!("it did at: {known}"),
            )
        })
    };
    args.leave.iter().try_for_each(|name| newest(name).map(drop))?;
    let to = args.to.as_deref().map(newest).transpose()?;
    Ok(Asked { to, leave: args.leave.iter().cloned().collect::<BTreeSet<_>>() })
}

/// Shows what would be run.
fn preview(
    session: &Session,
    records: &[Record],
    world: World,
    asked: &Asked,
    as_json: bool,
) -> Result<Exit, CliError> {
    let walker = Walker::look(MemoryJournal::default(), records, world)?;
    let shown = session.runtime.block_on(walker.undoable(asked));
    if as_json {
        let rows: Vec<_> = shown.iter().map(|(change, undoable)| row(change, undoable)).collect();
        Screen::on(Stream::Out).line(serde_json::to_string_pretty(&rows).unwrap_or_default());
    } else {
        session.reporter.quiet();
        session.screen.lines(&undoable(&session.screen, &session.reporter, &shown));
    }
    let stops =
        |(_, undoable): &(Change, Undoable)| matches!(undoable, Undoable::Cannot(_) | Undoable::Broken(_));
    Ok(if shown.iter().any(stops) { Exit::Stuck } else { Exit::Done })
}

fn row(change: &Change, undoable: &Undoable) -> serde_json::Value {
    let (word, item, why) = match undoable {
        Undoable::Would(item) => ("would", Some(item), None),
        Undoable::Nothing(why) => ("nothing", None, Some(why)),
        Undoable::Cannot(why) => ("cannot", None, Some(why)),
        Undoable::Broken(error) => ("broken", None, Some(&error.message)),
    };
    json!({
        "visit": change.visit, "item": change.item, "node": change.node, "step": change.kind,
        "undo": word, "shown": item, "why": why,
    })
}
