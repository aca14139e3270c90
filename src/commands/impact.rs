//! `runbook impact`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use engine::journal::Store;
use engine::plan::{Plan, PlanData};
use engine::run::Entry;
use engine::scenario::{Passed, Scenario};
use serde::Serialize;
use steps::site::Recording;
use tokio::runtime::Runtime;

use crate::cli::Impact;
use crate::error::CliError;
use crate::exit::Exit;
use crate::library::{self, Found, Place};
use crate::load::{load, plan_of, registry};
use crate::place;
use crate::rehearsal::{Parting, Script, Set, Worlds, parting, replayed, scripts};
use crate::session::Session;
use crate::terminal::{Screen, Stream, line, wrap};

/// What an edit does to one thing that was recorded.
#[derive(Serialize)]
struct Row {
    runbook: String,
    /// `run`, `scenario` or `recording`.
    kind: &'static str,
    name: String,
    /// Where it would go another way.
    parts: Option<Parting>,
    /// Why that cannot be told.
    unknown: Option<String>,
}

pub(super) fn execute(args: &Impact) -> Result<Exit, CliError> {
    let found: Vec<Found> = if args.runbooks.is_empty() {
        library::all().into_values().collect()
    } else {
        args.runbooks.iter().map(|asked| library::find(asked)).collect::<Result<_, _>>()?
    };
    let session = Session::quiet(args.json)?;
    let store = place::store()?;
    let mut rows = Vec::new();
    for found in &found {
        let plan = load(found, &mut registry())?;
        let before = before(found, args.since.as_deref())?;
        session.reporter.busy(&line(&found.name));
        let mut own = rehearsals(found, plan.data(), before.as_ref().map(Plan::data), &session.runtime)?;
        own.extend(runs(&*store, plan.data(), &session.runtime)?);
        session.reporter.quiet();
        tell(&session.screen, found, &own);
        rows.extend(own);
    }
    if args.json {
        Screen::on(Stream::Out).line(serde_json::to_string_pretty(&rows).unwrap_or_default());
    }
    // What cannot be told any more is touched by the edit, too, unless it never could.
    let touched = rows.iter().any(|row| row.parts.is_some());
    Ok(if touched { Exit::Internal } else { Exit::Done })
}

/// The runbook as it was in a revision; without one as it was committed last, if it was.
fn before(found: &Found, since: Option<&str>) -> Result<Option<Plan>, CliError> {
    let Place::File(path) = &found.place else { return Ok(None) };
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let revision = since.unwrap_or("HEAD");
    let shown = format!("{revision}:./{file}");
    let output =
        Command::new("git").arg("-C").arg(directory).args(["show", "--end-of-options", &shown]).output();
    match output {
        Ok(output) if output.status.success() => {
            plan_of(&format!("{} at {revision}", found.name), output.stdout, &registry()).map(Some)
        }
        _ if since.is_none() => Ok(None),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(CliError::usage(format!("there is no {shown}: {why}"), "name a revision that git knows"))
        }
        Err(error) => Err(CliError::usage(format!("git cannot be run: {error}"), "--since needs git")),
    }
}

/// What becomes of scenarios and recordings.
fn rehearsals(
    found: &Found,
    now: &Arc<PlanData>,
    before: Option<&Arc<PlanData>>,
    runtime: &Runtime,
) -> Result<Vec<Row>, CliError> {
    let (mut worlds, mut rows) = (Worlds::default(), Vec::new());
    let scripts = scripts(found)?;
    for script in &scripts {
        let (parts, unknown) = match scenario(script, now, before, &mut worlds, runtime) {
            Ok(parts) => (parts, None),
            Err(why) => (None, Some(why)),
        };
        rows.push(Row {
            runbook: now.runbook.clone(),
            kind: "scenario",
            name: script.name.clone(),
            parts,
            unknown,
        });
    }
    let Some(before) = before else { return Ok(rows) };
    let scenarios: Vec<&String> = scripts.iter().map(|script| &script.name).collect();
    for (name, path) in found.rehearsals() {
        if scenarios.contains(&&name) {
            continue;
        }
        let recording = Recording::load(&path)?;
        let walk = |plan| Set::recorded(recording.clone()).walk(plan, runtime).map(|happened| happened.path);
        let (parts, unknown) = match (walk(before), walk(now)) {
            (Ok(then), Ok(now)) => (parting(&then, &now, None), None),
            (Ok(then), Err(error)) => (stops(&then, &error), None),
            (Err(error), _) => (None, Some(error.to_string())),
        };
        rows.push(Row { runbook: now.runbook.clone(), kind: "recording", name, parts, unknown });
    }
    Ok(rows)
}

/// It went somewhere, and now it cannot be told where.
fn stops(then: &[Passed], error: &CliError) -> Option<Parting> {
    let why = Some(error.to_string());
    Some(Parting { after: None, then: then.last().cloned(), now: None, why })
}

/// Where a scenario goes another way than before, or than it expects if nothing is known of before.
fn scenario(
    script: &Script,
    now: &Arc<PlanData>,
    before: Option<&Arc<PlanData>>,
    worlds: &mut Worlds,
    runtime: &Runtime,
) -> Result<Option<Parting>, String> {
    let mut walk = |plan: &Arc<PlanData>| -> Result<(Scenario, Result<Vec<Passed>, CliError>), String> {
        let scenario = script.read(plan).map_err(|found| {
            found.first().map_or_else(String::new, |found| format!("{}: {}", found.code, found.message))
        })?;
        let set = worlds.set(&scenario, &script.path).map_err(|found| found.message)?;
        let path = set.walk(plan, runtime).map(|happened| happened.path);
        Ok((scenario, path))
    };
    let then = match before {
        Some(before) => walk(before)?.1.map_err(|error| error.to_string())?,
        None => {
            let scenario =
                script.read(now).map_err(|_| "it has mistakes: `runbook test` shows them".to_owned())?;
            let path = scenario.expect.and_then(|expect| expect.path);
            path.ok_or_else(|| "it expects no path".to_owned())?
        }
    };
    match walk(now)?.1 {
        Ok(path) => Ok(parting(&then, &path, None)),
        Err(error) => Ok(stops(&then, &error)),
    }
}

/// What becomes of past runs.
fn runs(store: &dyn Store, now: &Arc<PlanData>, runtime: &Runtime) -> Result<Vec<Row>, CliError> {
    let (summaries, _) = store.list()?;
    let mut rows = Vec::new();
    for summary in summaries.into_iter().filter(|summary| summary.runbook == now.runbook) {
        let records = store.records(&summary.run)?;
        let same = matches!(records.first().map(|record| &record.entry),
            Some(Entry::Started(started)) if started.plan.source_digest == now.source_digest);
        // Nothing was edited since.
        let replayed = if same { Ok(None) } else { replayed(&records, now, runtime) };
        let (parts, unknown) = match replayed {
            Ok(parts) => (parts, None),
            Err(error) => (None, Some(error.to_string())),
        };
        rows.push(Row {
            runbook: now.runbook.clone(),
            kind: "run",
            name: summary.run.to_string(),
            parts,
            unknown,
        });
    }
    Ok(rows)
}

fn tell(screen: &Screen, found: &Found, rows: &[Row]) {
    let (paint, glyphs) = (screen.paint, screen.glyphs);
    let other = rows.iter().filter(|row| row.parts.is_some()).count();
    let name = paint.bold(&line(&found.name));
    let count = match other {
        0 => paint.good("none would take another path"),
        1 => paint.bad("1 would take another path"),
        other => paint.bad(&format!("{other} would take another path")),
    };
    let of = rows.len();
    screen.line(format!("{name}: of {of} recorded run{}, {count}", if of == 1 { "" } else { "s" }));
    let word = |passed: Option<&Passed>| passed.map_or_else(|| "nothing more".to_owned(), Passed::to_string);
    for row in rows {
        let head = format!("{} {}", row.kind, line(&row.name));
        if let Some(parts) = &row.parts {
            screen.line(format!("  {} {head}", paint.bad(glyphs.failed)));
            let after = parts.after.as_ref().map(|after| format!("after {after} ")).unwrap_or_default();
            let why = parts.why.as_ref().map(|why| format!(" ({})", line(why))).unwrap_or_default();
            let (then, now) = (word(parts.then.as_ref()), word(parts.now.as_ref()));
            screen.lines(&wrap(&format!("      {after}then {then}, now {now}{why}"), 8, screen.width()));
        } else if let Some(why) = &row.unknown {
            screen.lines(&wrap(&format!("  {} {head}: {}", paint.warn("?"), line(why)), 8, screen.width()));
        }
    }
}
