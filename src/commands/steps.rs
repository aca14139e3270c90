//! `runbook steps list` and `runbook steps show`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use engine::event::effect_word;
use engine::step::{Outcomes, Registry, Step};
use serde_json::{Value, json};
use steps::external::External;

use crate::error::CliError;
use crate::exit::Exit;
use crate::external;
use crate::library;
use crate::load::registry;
use crate::schema;
use crate::terminal::{Screen, Stream, line, table, wrap};

/// Where the steps of the program itself come from.
const BUILT_IN: &str = "built in";

/// Every step: of the program, on the PATH, beside a runbook.
pub(super) struct All {
    pub registry: Registry,
    /// Where those that are not of the program come from, by kind.
    from: BTreeMap<String, String>,
    /// Those that are there and are not used: where, and why.
    refused: BTreeMap<String, (PathBuf, String)>,
}

/// Looks for every step.
pub(super) fn all(beside: Option<&str>) -> Result<All, CliError> {
    let mut registry = registry();
    let mut found = external::all(&places(beside)?)?;
    let mut from = BTreeMap::new();
    for (kind, step) in std::mem::take(&mut found.steps) {
        if registry.get(&kind).is_some() {
            let why = "the program has a step of this name, which is used".to_owned();
            found.refused.insert(kind, (step.path().into(), why));
            continue;
        }
        from.insert(kind, step.path());
        registry.register(step);
    }
    Ok(All { registry, from, refused: found.refused })
}

pub(super) fn list(beside: Option<&str>, as_json: bool) -> Result<Exit, CliError> {
    let All { registry, from, refused } = all(beside)?;
    let screen = Screen::on(Stream::Out);
    let origin = |kind: &str| from.get(kind).map_or(BUILT_IN, String::as_str);
    if as_json {
        let row = |step: &Arc<dyn Step>| {
            let spec = step.spec();
            json!({ "kind": spec.kind, "effect": spec.effect, "summary": spec.summary, "from": origin(spec.kind) })
        };
        let refused =
            refused.iter().map(|(kind, (path, why))| json!({ "kind": kind, "from": path, "refused": why }));
        let rows: Vec<_> = registry.steps().map(row).chain(refused).collect();
        screen.line(serde_json::to_string_pretty(&rows).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let row = |step: &Arc<dyn Step>| {
        let spec = step.spec();
        vec![screen.paint.bold(spec.kind), effect_word(spec.effect).to_owned(), line(spec.summary)]
    };
    let rows: Vec<_> = registry.steps().map(row).collect();
    screen.lines(&table(screen.paint, &["step", "effect", "what it does"], &rows));
    for (kind, path) in &from {
        screen.line(format!("{} is {}", screen.paint.bold(kind), line(path)));
    }
    for (kind, (path, why)) in &refused {
        let (kind, path) = (screen.paint.warn(&line(kind)), line(&path.display().to_string()));
        screen.line(format!("{kind} is not used: {path}: {}", line(why)));
    }
    Ok(Exit::Done)
}

/// The program's steps, and the one of this kind that is found elsewhere.
pub(super) fn registry_with(
    kind: &str,
    beside: Option<&str>,
) -> Result<(Registry, Option<String>), CliError> {
    let mut registry = registry();
    if registry.get(kind).is_some() {
        return Ok((registry, None));
    }
    let mut found = external::find(&[kind.to_owned()].into(), &places(beside)?)?;
    if let Some((path, why)) = found.refused.remove(kind) {
        return Err(CliError::usage(format!("{}: {why}", path.display()), external::MEND));
    }
    let step = found.steps.remove(kind);
    let path = step.as_ref().map(External::path);
    step.into_iter().for_each(|step| registry.register(step));
    Ok((registry, path))
}

fn places(beside: Option<&str>) -> Result<Vec<PathBuf>, CliError> {
    let found = beside.map(library::find).transpose()?;
    Ok(found.and_then(|found| found.place()).map(PathBuf::from).into_iter().collect())
}

pub(super) fn show(kind: &str, beside: Option<&str>, as_json: bool) -> Result<Exit, CliError> {
    let (registry, path) = registry_with(kind, beside)?;
    let spec = find(&registry, kind)?.spec();
    let screen = Screen::on(Stream::Out);
    if as_json {
        screen.line(serde_json::to_string_pretty(spec).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let paint = screen.paint;
    screen.line(format!("{}  {}", paint.bold(spec.kind), paint.warn(effect_word(spec.effect))));
    screen.lines(&wrap(spec.summary, 2, screen.width()));
    if let Some(path) = path {
        screen.line(format!("  {}", paint.dim(&format!("from {}", line(&path)))));
    }
    fields(&screen, "takes", &spec.params);
    screen.line("");
    screen.line(paint.dim("ends with"));
    let (named, outcomes) = match &spec.outcomes {
        Outcomes::Fixed(outcomes) => (None, outcomes),
        Outcomes::Keys { under, also } => (Some(under.unwrap_or("with")), also),
    };
    if let Some(under) = named {
        screen.line(format!("  the words that the author writes under `{under}`"));
    }
    for outcome in outcomes {
        let lines = wrap(&outcome.help, 18, screen.width());
        let first = lines.first().map(|text| text.trim_start()).unwrap_or_default();
        let pad = " ".repeat(15usize.saturating_sub(outcome.name.len()));
        screen.line(format!("  {}{pad} {first}", paint.word(&outcome.name)).trim_end());
        screen.lines(lines.get(1..).unwrap_or_default());
    }
    fields(&screen, "yields", &spec.output);
    Ok(Exit::Done)
}

/// The step of this kind.
pub(super) fn find<'a>(registry: &'a Registry, kind: &str) -> Result<&'a Arc<dyn Step>, CliError> {
    let none = || CliError::no_such("step", kind, registry.kinds(), "`runbook steps list` shows all");
    registry.get(kind).ok_or_else(none)
}

fn fields(screen: &Screen, head: &str, of: &Value) {
    screen.line("");
    screen.line(screen.paint.dim(head));
    let fields = schema::fields(of);
    if fields.is_empty() {
        screen.line("  nothing of a fixed name");
    }
    for field in fields {
        let need = if field.required { screen.paint.warn("  required") } else { String::new() };
        let types = wrap(&field.types, field.name.len() + 4, screen.width()).join("\n");
        let types: Vec<String> = types.trim_start().lines().map(|types| screen.paint.dim(types)).collect();
        screen.line(format!("  {}  {}{need}", screen.paint.bold(&field.name), types.join("\n")));
        if !field.help.is_empty() {
            screen.lines(&wrap(&line(&field.help), 6, screen.width()));
        }
    }
}
