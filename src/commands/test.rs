//! `runbook test`.

use engine::scenario::{Counted, Coverage};
use serde_json::{Value, json};

use crate::cli::Test;
use crate::error::CliError;
use crate::exit::Exit;
use crate::library::{self, Found};
use crate::load::{load, registry, show};
use crate::rehearsal::{Script, Suite, Tried, Verdict, junit, scripts};
use crate::session::Session;
use crate::terminal::{Screen, Stream, line, wrap};

pub(super) fn execute(args: &Test) -> Result<Exit, CliError> {
    let session = Session::quiet(args.json)?;
    let mut suites = Vec::new();
    for (found, scripts) in asked(args)? {
        let plan = load(&found, &mut registry())?;
        session.screen.line(session.screen.paint.bold(&line(&found.name)));
        let first = scripts.first().map(|script| script.name.clone()).unwrap_or_default();
        session.reporter.busy(&line(&first));
        let mut waiting = scripts.iter().skip(1);
        let suite = Suite::walk(plan.data(), &scripts, &session.runtime, args.update, |tried| {
            session.reporter.quiet();
            tell(&session.screen, tried);
            if let Some(next) = waiting.next() {
                session.reporter.busy(&line(&next.name));
            }
        })?;
        session.reporter.quiet();
        // A part of the scenarios says nothing about what all of them cover.
        sum(&session.screen, &suite, args.scenario.is_empty());
        suites.push(suite);
    }
    if let Some(path) = &args.junit {
        let written = std::fs::write(path, junit(&suites));
        written.map_err(|source| CliError::File { action: "write", path: path.clone(), source })?;
    }
    if args.json {
        let rows: Vec<Value> = suites.iter().map(row).collect();
        Screen::on(Stream::Out).line(serde_json::to_string_pretty(&rows).unwrap_or_default());
    }
    Ok(match () {
        () if suites.iter().any(Suite::wrong) => Exit::Usage,
        () if suites.iter().any(|suite| suite.failed() > 0) => Exit::Internal,
        () => Exit::Done,
    })
}

/// The scenarios to walk, by runbook.
fn asked(args: &Test) -> Result<Vec<(Found, Vec<Script>)>, CliError> {
    let named = !args.runbooks.is_empty();
    let found: Vec<Found> = if named {
        args.runbooks.iter().map(|asked| library::find(asked)).collect::<Result<_, _>>()?
    } else {
        library::all().into_values().collect()
    };
    let mut all = Vec::new();
    for found in found {
        let mut scripts = scripts(&found)?;
        let wanted = |script: &Script| args.scenario.is_empty() || args.scenario.contains(&script.name);
        let names: Vec<String> = scripts.iter().map(|script| script.name.clone()).collect();
        scripts.retain(wanted);
        if scripts.is_empty() && named {
            return Err(none(&found, &names));
        }
        if !scripts.is_empty() {
            all.push((found, scripts));
        }
    }
    if all.is_empty() {
        return Err(CliError::usage(
            "there are no such scenarios",
            "write one in rehearsals/ beside a runbook: docs/scenarios.md",
        ));
    }
    Ok(all)
}

fn none(found: &Found, names: &[String]) -> CliError {
    match (names, &found.place) {
        ([], library::Place::Program(_)) => CliError::usage(
            format!("the scenarios of {} are not in the program", found.name),
            "they lie in its repository: name the path of the runbook there",
        ),
        ([], library::Place::File(_)) => CliError::usage(
            format!("{} has no scenario", found.name),
            "write one in rehearsals/ beside it: docs/scenarios.md",
        ),
        (names, _) => CliError::usage(
            format!("{} has no such scenario", found.name),
            format!("it has {}", names.join(", ")),
        ),
    }
}

fn tell(screen: &Screen, tried: &Tried) {
    let (paint, glyphs) = (screen.paint, screen.glyphs);
    let good = tried.verdict.passed();
    let sign = if good { paint.good(glyphs.done) } else { paint.bad(glyphs.failed) };
    let title = paint.dim(&line(&tried.title));
    let left = match tried.left {
        0 => String::new(),
        some => paint.warn(&format!("  {some} TODO")),
    };
    screen.line(format!("  {sign} {}  {title}{left}", line(&tried.name)));
    if let Verdict::Wrong(found, file) = &tried.verdict {
        show(screen, found, std::slice::from_ref(file));
        return;
    }
    for text in tried.verdict.lines() {
        screen.lines(&wrap(&format!("      {}", line(&text)), 8, screen.width()));
    }
}

fn sum(screen: &Screen, suite: &Suite, all: bool) {
    let (total, failed) = (suite.tried.len(), suite.failed());
    let passed = format!("{} of {total} passed", total - failed);
    let passed = if failed == 0 { screen.paint.good(&passed) } else { screen.paint.bad(&passed) };
    screen.line(format!("  {passed}"));
    if !all {
        return;
    }
    let Coverage { nodes, edges, outcomes } = &suite.coverage;
    let part = |what: &str, counted: &Counted| {
        let injected = match counted.injected {
            0 => String::new(),
            some => format!(", {some} only by a fault's outcome"),
        };
        format!("{what} {}/{}{injected}", counted.covered, counted.total)
    };
    let parts = [part("nodes", nodes), part("edges", edges), part("outcomes", outcomes)];
    screen.line(format!("  covered: {}", parts.join("; ")));
    if !edges.missing.is_empty() {
        screen.line("  edges that no scenario passes:");
        edges.missing.iter().for_each(|edge| screen.line(format!("    {}", line(edge))));
    }
}

fn row(suite: &Suite) -> Value {
    let one = |tried: &Tried| {
        let (happened, differences) = match &tried.verdict {
            Verdict::Passed(happened) | Verdict::Expectless(happened) => (Some(happened), Vec::new()),
            Verdict::Differs(happened, all) => (Some(happened), all.clone()),
            Verdict::Broke(_) | Verdict::Wrong(..) => (None, Vec::new()),
        };
        json!({
            "scenario": tried.name,
            "title": tried.title,
            "file": tried.path,
            "passed": tried.verdict.passed(),
            "left_to_do": tried.left,
            "seconds": tried.took.as_secs_f64(),
            "differences": differences,
            "errors": if happened.is_none() { tried.verdict.lines() } else { Vec::new() },
            "happened": happened,
        })
    };
    let scenarios: Vec<Value> = suite.tried.iter().map(one).collect();
    json!({
        "runbook": suite.runbook,
        "passed": suite.failed() == 0,
        "scenarios": scenarios,
        "coverage": suite.coverage,
    })
}
