//! `runbook runs report`.

use std::collections::BTreeMap;
use std::path::Path;

use engine::chart::{Chart, mermaid};
use engine::journal::{Finding, fold};

use crate::cli::{Form, Report};
use crate::error::CliError;
use crate::exit::Exit;
use crate::graph;
use crate::load::registry;
use crate::place;
use crate::report::{self, Chain};
use crate::secrets;
use crate::terminal::{Screen, Stream, line};

use super::resume::parse_run;
use super::verify;

pub(super) fn execute(args: &Report) -> Result<Exit, CliError> {
    let store = place::store()?;
    let run = parse_run(&*store, &args.run)?;
    let summary = store.summary(&run)?;
    let records = store.records(&run)?;
    let verified = verify::from_here(&*store, &run)?;
    let chain = Chain {
        holds: verified.audit.holds(),
        entries: verified.audit.lines as u64,
        head: verified.audit.head.as_ref().map(|head| head.hash.clone()),
        findings: verified.audit.findings.iter().map(finding).collect(),
        compared: verified.noted.iter().map(|noted| noted.by.clone()).collect(),
    };
    let registry = registry();
    let (plan, state) = fold(&records).map_err(CliError::Internal)?;
    let made = report::report(&records, &state, &summary, chain, &registry).map_err(CliError::Internal)?;
    let made = redacted(made)?;
    let chart = Chart::of(&plan, &registry).walked(&plan, &state).only_walked();
    let text = match args.form() {
        Form::Html => {
            // A path that is too long to be drawn is no reason to have no report.
            let flow = graph::svg(&chart, "flow").ok();
            report::html(&made, flow.as_deref())
                .map_err(|error| CliError::Internal(format!("the report cannot be drawn: {error}")))?
        }
        Form::Md => report::markdown(&made, &mermaid(&chart)),
        Form::Json => serde_json::to_string_pretty(&made).unwrap_or_default() + "\n",
    };
    match &args.output {
        Some(path) => write(path, &text)?,
        None => Screen::on(Stream::Out).raw(&text),
    }
    Ok(Exit::Done)
}

fn finding(finding: &Finding) -> String {
    let lines = match (finding.line, finding.through) {
        (line, through) if line == through => format!("line {line}"),
        (line, through) => format!("lines {line} to {through}"),
    };
    format!("{lines}: {}", finding.what)
}

/// Without what the configuration says to remove now: it may say more than when the run was walked.
fn redacted(report: report::Report) -> Result<report::Report, CliError> {
    let redactor = secrets::redactor(BTreeMap::new(), None)?;
    if redactor.is_idle() {
        return Ok(report);
    }
    let again =
        |error: serde_json::Error| CliError::Internal(format!("the report cannot be redacted: {error}"));
    let value = serde_json::to_value(report).map_err(again)?;
    serde_json::from_value(redactor.value(value)).map_err(again)
}

/// Writes the file whole or not at all: somebody may be looking at the one before.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    std::fs::write(&fresh, text)
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(|error| CliError::write(path, error))?;
    let err = Screen::on(Stream::Err);
    err.line(format!("written: {}", line(&path.display().to_string())));
    Ok(())
}
