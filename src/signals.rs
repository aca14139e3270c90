//! Signals: the first asks the walk to stop at a safe point, a second Ctrl-C ends the process at once.

use std::sync::Arc;

use engine::run::RunId;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::CliError;
use crate::exit::Exit;
use crate::terminal::{Reporter, interrupted_hint};

/// Listens from now on, on the runtime that is entered.
pub(crate) fn listen(
    cancel: CancellationToken,
    reporter: Arc<Reporter>,
    run: Option<RunId>,
) -> Result<(), CliError> {
    let open =
        |kind| signal(kind).map_err(|error| CliError::Internal(format!("cannot listen to signals: {error}")));
    let mut interrupt = open(SignalKind::interrupt())?;
    let mut terminate = open(SignalKind::terminate())?;
    // The terminal is gone: the walk stops at a safe point, as if asked; what it writes goes nowhere.
    let mut hangup = open(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let pressed = tokio::select! {
                _ = interrupt.recv() => true,
                _ = terminate.recv() => false,
                _ = hangup.recv() => false,
            };
            if cancel.is_cancelled() && pressed {
                reporter.quiet();
                reporter.note(&run.as_ref().map_or_else(|| "interrupted".to_owned(), interrupted_hint));
                std::process::exit(Exit::Interrupted as i32);
            }
            if !cancel.is_cancelled() {
                cancel.cancel();
                reporter.note("stopping at the next safe point; Ctrl-C again to stop at once");
            }
        }
    });
    Ok(())
}
