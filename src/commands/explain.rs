//! `runbook explain`.

use engine::check::codes;

use crate::cli::Explain;
use crate::error::CliError;
use crate::exit::Exit;
use crate::terminal::{Screen, Stream, wrap};

pub(super) fn execute(args: &Explain) -> Result<Exit, CliError> {
    let screen = Screen::on(Stream::Out);
    let Some(asked) = &args.code else {
        codes::ALL.iter().for_each(|known| screen.line(known.code));
        return Ok(Exit::Done);
    };
    let Some(text) = codes::explain(asked) else {
        let near = codes::ALL.iter().map(|known| (strsim::levenshtein(asked, known.code), known.code)).min();
        let hint = match near {
            Some((distance, near)) if distance <= near.len() / 3 => format!("did you mean {near}?"),
            _ => "`runbook explain` lists all codes".to_owned(),
        };
        return Err(CliError::usage(format!("there is no code {asked}"), hint));
    };
    screen.line(screen.paint.bold(asked));
    screen.lines(&wrap(text, 2, screen.width()));
    Ok(Exit::Done)
}
