//! `runbook graph`.

use std::path::Path;

use engine::chart::{Chart, dot, mermaid};
use engine::journal::fold;

use crate::cli::{Graph, GraphFormat};
use crate::error::CliError;
use crate::exit::Exit;
use crate::graph;
use crate::library;
use crate::load::{load, registry};
use crate::place;
use crate::terminal::{Screen, Stream};

use super::resume::parse_run;

pub(super) fn execute(args: &Graph) -> Result<Exit, CliError> {
    let chart = chart(args)?;
    let format = args.format.unwrap_or_else(|| of_name(args.output.as_deref()));
    let drawn = match format {
        GraphFormat::Mermaid => mermaid(&chart),
        GraphFormat::Dot => dot(&chart),
        GraphFormat::Svg => graph::svg(&chart, "runbook")?,
        GraphFormat::Png => {
            let into_a_file = || CliError::usage("a PNG is no text", "name a file for it: `-o graph.png`");
            let path = args.output.as_deref().ok_or_else(into_a_file)?;
            return write(path, &graph::png(&chart)?);
        }
        GraphFormat::Text => {
            let screen = Screen::on(Stream::Out);
            let lines = graph::text(&screen, &chart);
            match &args.output {
                None => {
                    screen.lines(&lines);
                    return Ok(Exit::Done);
                }
                Some(_) => {
                    lines.iter().map(|line| format!("{}\n", console::strip_ansi_codes(line))).collect()
                }
            }
        }
    };
    match &args.output {
        Some(path) => write(path, drawn.as_bytes()),
        None => {
            Screen::on(Stream::Out).raw(&drawn);
            Ok(Exit::Done)
        }
    }
}

fn write(path: &Path, drawn: &[u8]) -> Result<Exit, CliError> {
    std::fs::write(path, drawn).map_err(|error| CliError::write(path, error))?;
    Ok(Exit::Done)
}

fn chart(args: &Graph) -> Result<Chart, CliError> {
    let mut registry = registry();
    let Some(run) = &args.run else {
        let name = args.runbook.as_deref().unwrap_or_default();
        let plan = load(&library::find(name)?, &mut registry)?;
        return Ok(Chart::of(&plan, &registry));
    };
    let store = place::store()?;
    let run = parse_run(&*store, run)?;
    // Of a run, its own plan: the runbook may have been edited since.
    let (plan, state) = fold(&store.records(&run)?).map_err(CliError::Internal)?;
    let asked = args.runbook.as_deref().filter(|name| *name != plan.data().runbook);
    if let Some(name) = asked {
        let of = &plan.data().runbook;
        return Err(CliError::usage(
            format!("run {run} is one of {of}, not of {name}"),
            "leave the name out",
        ));
    }
    Ok(Chart::of(&plan, &registry).walked(&plan, &state))
}

/// The format that the name of a file tells; text without one.
fn of_name(path: Option<&Path>) -> GraphFormat {
    match path.and_then(|path| path.extension()).and_then(|extension| extension.to_str()) {
        Some("mmd" | "mermaid") => GraphFormat::Mermaid,
        Some("dot" | "gv") => GraphFormat::Dot,
        Some("svg") => GraphFormat::Svg,
        Some("png") => GraphFormat::Png,
        _ => GraphFormat::Text,
    }
}
