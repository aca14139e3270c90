//! `runbook steps list` and `runbook steps show`.

use engine::event::effect_word;
use engine::step::{Outcomes, Registry, Step};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::exit::Exit;
use crate::load::registry;
use crate::schema;
use crate::terminal::{Screen, Stream, line, table, wrap};

pub(super) fn list(as_json: bool) -> Result<Exit, CliError> {
    let registry = registry();
    let screen = Screen::on(Stream::Out);
    if as_json {
        let row = |step: &std::sync::Arc<dyn Step>| {
            let spec = step.spec();
            json!({ "kind": spec.kind, "effect": spec.effect, "summary": spec.summary })
        };
        let rows: Vec<_> = registry.steps().map(row).collect();
        screen.line(serde_json::to_string_pretty(&rows).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let row = |step: &std::sync::Arc<dyn Step>| {
        let spec = step.spec();
        vec![screen.paint.bold(spec.kind), effect_word(spec.effect).to_owned(), line(spec.summary)]
    };
    let rows: Vec<_> = registry.steps().map(row).collect();
    screen.lines(&table(screen.paint, &["step", "effect", "what it does"], &rows));
    Ok(Exit::Done)
}

pub(super) fn show(kind: &str, as_json: bool) -> Result<Exit, CliError> {
    let registry = registry();
    let spec = find(&registry, kind)?.spec();
    let screen = Screen::on(Stream::Out);
    if as_json {
        screen.line(serde_json::to_string_pretty(spec).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let paint = screen.paint;
    screen.line(format!("{}  {}", paint.bold(spec.kind), paint.warn(effect_word(spec.effect))));
    screen.lines(&wrap(spec.summary, 2, screen.width()));
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
pub(super) fn find<'a>(registry: &'a Registry, kind: &str) -> Result<&'a std::sync::Arc<dyn Step>, CliError> {
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
        screen.line(format!(
            "  {}  {}{need}",
            screen.paint.bold(&field.name),
            screen.paint.dim(&field.types)
        ));
        if !field.help.is_empty() {
            screen.lines(&wrap(&line(&field.help), 6, screen.width()));
        }
    }
}
