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
        let names = codes::ALL.iter().map(|known| known.code);
        return Err(CliError::no_such("code", asked, names, "`runbook explain` lists all codes"));
    };
    screen.line(screen.paint.bold(asked));
    screen.lines(&wrap(text, 2, screen.width()));
    Ok(Exit::Done)
}
