//! Signals: the first asks the walk to stop at a safe point, a second Ctrl-C ends the process at once.

use std::sync::Arc;

use engine::run::RunId;
use tokio::signal::unix::{Signal, SignalKind, signal};
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
    // The terminal is gone: the walk stops at a safe point, as if asked; what it writes goes nowhere. Under `nohup` it
    // was asked not to mind.
    let mut hangup = if ignored(1) { None } else { Some(open(SignalKind::hangup())?) };
    // A limit on the size of files (`ulimit -f`) is then an error of the write, like a full disk, and no sudden end.
    drop(open(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
    tokio::spawn(async move {
        loop {
            let pressed = tokio::select! {
                _ = interrupt.recv() => true,
                _ = terminate.recv() => false,
                Some(_) = next(&mut hangup) => false,
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

/// The next signal of a kind that is listened to; never, if it is not.
async fn next(signals: &mut Option<Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether this process was started with this signal ignored (`SigIgn` of proc_pid_status(5): a mask, signal 1 first).
fn ignored(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
