//! `runbook list`.

use serde::Deserialize;
use serde_json::json;

use crate::cli::List;
use crate::error::CliError;
use crate::exit::Exit;
use crate::library::{self, Found};
use crate::terminal::{Screen, Stream, line, table};

/// What a list says of a runbook; whether it checks is another question.
#[derive(Debug, Deserialize, Default)]
struct Head {
    title: Option<String>,
    severity: Option<String>,
}

pub(super) fn execute(args: &List) -> Result<Exit, CliError> {
    let all: Vec<(Found, Head)> = library::all()
        .into_values()
        .map(|found| {
            let text = found.bytes().unwrap_or_default();
            let head = serde_yaml::from_slice(&text).unwrap_or_default();
            (found, head)
        })
        .collect();
    let screen = Screen::on(Stream::Out);
    if args.json {
        let row = |(found, head): &(Found, Head)| json!({ "runbook": found.name, "title": head.title, "severity": head.severity, "from": found.shown() });
        let rows: Vec<_> = all.iter().map(row).collect();
        screen.line(serde_json::to_string_pretty(&rows).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let row = |(found, head): &(Found, Head)| {
        let text = |text: &Option<String>| text.as_deref().map(line).unwrap_or_default();
        vec![
            screen.paint.bold(&line(&found.name)),
            text(&head.title),
            text(&head.severity),
            line(&found.shown()),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    screen.lines(&table(screen.paint, &["runbook", "title", "severity", "from"], &rows));
    screen.line("");
    screen.line("`runbook run NAME --help` shows what one takes.");
    Ok(Exit::Done)
}
