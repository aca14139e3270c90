//! A report as one HTML file that needs nothing else: no script, no request, light and dark, for screen and paper.

use std::sync::LazyLock;

use minijinja::value::{Serde, Value as Template};
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use super::chart::chart;
use super::escape;
use super::facts::{Facts, bytes, facts};
use super::model::{Evidence, Report};
use super::words;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    // Every value is text that came from somewhere else, whatever the template forgot to say of it.
    env.set_formatter(|out, _, value| {
        let text = match value {
            value if value.is_none() => String::new(),
            value if value.is_safe() => value.to_string(),
            value => escape::html(&value.to_string()),
        };
        Ok(out.write_str(&text)?)
    });
    env.add_filter("exact", |text: String| Template::from_safe_string(escape::html_exact(&text)));
    env.add_filter("diff", |text: String| Template::from_safe_string(diff(&text)));
    env.add_filter("time", |at: String| words::time(&at));
    env.add_filter("clock", |at: String| words::clock(&at));
    env.add_filter("lasted", words::lasted);
    env.add_filter("span", words::length);
    env.add_filter("bytes", |size: Option<u64>| size.map_or_else(|| "unknown".to_owned(), bytes));
    env
});

/// The lines of an edit, each with its colour.
fn diff(unified: &str) -> String {
    let mut lines = String::new();
    for (at, text) in unified.lines().enumerate() {
        // The names of the files stand above already.
        if at < 2 && (text.starts_with("--- ") || text.starts_with("+++ ")) {
            continue;
        }
        let class = match text.as_bytes().first() {
            Some(b'+') => "add",
            Some(b'-') => "del",
            Some(b'@') => "hunk",
            _ => "same",
        };
        lines.push_str(&format!("<span class=\"{class}\">{}</span>\n", escape::html_exact(text)));
    }
    lines
}

/// What a read yielded, to be drawn.
#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    evidence: &'a Evidence,
    facts: Vec<Facts>,
    left: usize,
}

/// The file. `flow` is the picture of the flow with the path taken, as SVG that holds no text but escaped one.
///
/// # Errors
/// If the template is wrong, which is a mistake in the program.
pub(crate) fn html(report: &Report, flow: Option<&str>) -> Result<String, minijinja::Error> {
    let evidence: Vec<Found<'_>> = report
        .evidence
        .iter()
        .map(|evidence| {
            let (facts, left) = facts(&evidence.output, &evidence.units);
            Found { evidence, facts, left }
        })
        .collect();
    let safe = |svg: String| Template::from_safe_string(svg);
    ENVIRONMENT.render_str(
        include_str!("report.html"),
        context! {
            style => safe(include_str!("report.css").to_owned()),
            r => Template::from(Serde(report)),
            state => words::state(report),
            mood => words::mood(report),
            gate_states => report.gates.iter().map(|gate| words::gate(gate.state)).collect::<Vec<_>>(),
            evidence => Template::from(Serde(&evidence)),
            chart => chart(&report.memory).map(safe),
            flow => flow.map(|svg| safe(svg.to_owned())),
        },
    )
}
