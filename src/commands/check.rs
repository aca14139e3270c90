//! `runbook check`.

use engine::check::Checked;
use engine::diagnostic::{Diagnostic, Severity};
use serde_json::{Value, json};

use crate::cli::Check;
use crate::error::CliError;
use crate::exit::Exit;
use crate::library::{self, Found};
use crate::load::{examine, print, registry};
use crate::terminal::{Screen, Stream, line};

pub(super) fn execute(args: &Check) -> Result<Exit, CliError> {
    let found: Vec<Found> = if args.runbooks.is_empty() {
        library::all().into_values().collect()
    } else {
        args.runbooks.iter().map(|asked| library::find(asked)).collect::<Result<_, _>>()?
    };
    let registry = registry();
    let screen = Screen::on(Stream::Out);
    let (mut rows, mut errors) = (Vec::new(), 0);
    for found in &found {
        let checked = examine(found, &registry)?;
        errors += checked.errors();
        if args.json {
            rows.push(row(found, &checked));
        } else {
            print(&screen, &checked);
            if let Some(plan) = &checked.plan {
                let (sign, name) =
                    (screen.paint.good(screen.glyphs.done), screen.paint.bold(&line(&found.name)));
                screen.line(format!("{sign} {name}: {} nodes", plan.data().nodes.len()));
            }
        }
    }
    if args.json {
        screen.line(serde_json::to_string_pretty(&rows).unwrap_or_default());
    }
    Ok(if errors == 0 { Exit::Done } else { Exit::Usage })
}

fn row(found: &Found, checked: &Checked) -> Value {
    let findings: Vec<Value> = checked.diagnostics.iter().map(|finding| one(finding, checked)).collect();
    json!({
        "runbook": found.name,
        "file": found.shown(),
        "ok": checked.plan.is_some(),
        "errors": checked.errors(),
        "warnings": checked.warnings(),
        "findings": findings,
    })
}

fn one(finding: &Diagnostic, checked: &Checked) -> Value {
    let file = checked.files.get(finding.at.file);
    let before = file.and_then(|file| file.text.get(..finding.at.start)).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    json!({
        "code": finding.code,
        "severity": match finding.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": finding.message,
        "label": finding.label,
        "help": finding.help,
        "file": file.map(|file| file.name.as_str()),
        "line": before.matches('\n').count() + 1,
        "column": column,
        "bytes": finding.at.len,
    })
}
