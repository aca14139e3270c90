//! `runbook runs`.

use std::sync::Arc;

use engine::event::Event;
use engine::journal::{Record, Summary, SummaryState, fold};
use engine::run::Mode;
use engine::walk::Ending;
use serde_json::json;

use crate::cli::Show;
use crate::error::CliError;
use crate::exit::Exit;
use crate::place;
use crate::session::write;
use crate::terminal::{Paint, Reporter, Screen, Stream, last_words, line, table};

use super::resume::parse_run;

pub(super) fn list(as_json: bool) -> Result<Exit, CliError> {
    let store = place::store()?;
    let (runs, broken) = store.list()?;
    let screen = Screen::on(Stream::Out);
    if as_json {
        let rows: Vec<_> = runs.iter().map(row).collect();
        screen.line(serde_json::to_string_pretty(&rows).unwrap_or_default());
    } else if runs.is_empty() && broken.is_empty() {
        screen.line(format!("No runs in {}.", line(&store.place())));
    } else {
        let rows: Vec<Vec<String>> = runs.iter().map(|summary| cells(screen.paint, summary)).collect();
        let lines = table(screen.paint, &["run", "runbook", "state", "target", "started", "at"], &rows);
        // At once: there may be many.
        screen.raw(&(lines.join("\n") + "\n"));
    }
    let err = Screen::on(Stream::Err);
    broken
        .iter()
        .for_each(|error| err.line(format!("{} {}", err.paint.bad("damaged:"), line(&error.to_string()))));
    Ok(Exit::Done)
}

pub(super) fn show(args: &Show) -> Result<Exit, CliError> {
    let store = place::store()?;
    let run = parse_run(&*store, &args.run)?;
    let summary = store.summary(&run)?;
    let records = store.records(&run)?;
    let screen = Arc::new(Screen::on(Stream::Out));
    match (args.events, args.json) {
        (true, true) => records.into_iter().for_each(|record| write(&screen, &Event::Recorded(record))),
        (false, true) => {
            let mut shown = row(&summary);
            shown["node"] = json!(summary.node);
            shown["entries"] = json!(records);
            screen.line(serde_json::to_string_pretty(&shown).unwrap_or_default());
        }
        (true, false) => replay(&screen, records, &summary)?,
        (false, false) => {
            replay(&screen, records, &summary)?;
            screen.line(screen.paint.dim(&format!("journal  {}", line(&store.journal(&run)))));
        }
    }
    Ok(Exit::Done)
}

/// Tells a run from its journal as it was told while it was walked.
fn replay(screen: &Arc<Screen>, records: Vec<Record>, summary: &Summary) -> Result<(), CliError> {
    let (_, state) = fold(&records).map_err(CliError::Internal)?;
    let reporter = Reporter::new(Arc::clone(screen));
    records.into_iter().for_each(|record| reporter.hear(&Event::Recorded(record)));
    reporter.quiet();
    if summary.state == SummaryState::Running {
        screen.line("");
        screen.line(format!("{} {}", word(screen.paint, summary), at(summary)));
    } else {
        // Nothing goes on with a rehearsal.
        let live = state.started.mode == Mode::Live;
        screen.lines(&last_words(screen, &reporter, &Ending::of(&state), live));
    }
    Ok(())
}

/// A run for programs.
fn row(summary: &Summary) -> serde_json::Value {
    json!({
        "run": summary.run,
        "runbook": summary.runbook,
        "state": summary.state,
        "end": summary.end,
        "target": summary.target,
        "started": summary.started,
    })
}

/// A run for people.
fn cells(paint: Paint, summary: &Summary) -> Vec<String> {
    vec![
        summary.run.to_string(),
        line(&summary.runbook),
        word(paint, summary),
        line(&summary.target),
        summary.started.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%m-%d %H:%M").to_string(),
        at(summary),
    ]
}

fn at(summary: &Summary) -> String {
    let open = !matches!(summary.state, SummaryState::Ended | SummaryState::RolledBack);
    summary.node.as_deref().filter(|_| open).map(line).unwrap_or_default()
}

fn word(paint: Paint, summary: &Summary) -> String {
    match (summary.state, summary.end) {
        (SummaryState::Ended, Some(end)) => match end {
            engine::plan::EndKind::Escalated => paint.warn(end.word()),
            engine::plan::EndKind::Resolved | engine::plan::EndKind::NoAction => paint.good(end.word()),
        },
        (SummaryState::Ended, None) => "ended".to_owned(),
        (SummaryState::Running, _) => paint.word("running"),
        (SummaryState::Parked, _) => paint.warn("waiting"),
        (SummaryState::Held, _) => paint.bad("held"),
        (SummaryState::Stuck, _) => paint.bad("stuck"),
        (SummaryState::RolledBack, _) => paint.warn("rolled back"),
        (SummaryState::Interrupted, _) => paint.warn("interrupted"),
    }
}
