//! What can go wrong before, around and after a walk, with what to do about it.

use std::path::{Path, PathBuf};

use engine::journal::JournalError;
use engine::lock::LockError;
use engine::walk::WalkError;

use crate::exit::Exit;
use crate::terminal::{self, Screen, clean, labelled, shown};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line was refused, and clap has the words for it.
    #[error("{0}")]
    Clap(Box<clap::Error>),
    /// What was asked makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The runbook has mistakes, which were printed.
    #[error("{name} does not check: {count} {}", if *.count == 1 { "error" } else { "errors" })]
    NotChecked {
        /// The runbook.
        name: String,
        /// Errors.
        count: usize,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// `read`, `write` …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another run has the target, or that cannot be told.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The walk broke down.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// Where runs are kept cannot be used.
    #[error("{message}")]
    State {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Something that should not be possible.
    #[error("{0}")]
    Internal(String),
}

impl CliError {
    /// Something was asked for by a name that is none: the nearest of `names`, else where all are shown.
    pub(crate) fn no_such<'a>(
        what: &str,
        asked: &str,
        names: impl Iterator<Item = &'a str>,
        where_all_are: &str,
    ) -> Self {
        let near = names.map(|name| (strsim::levenshtein(asked, name), name)).min();
        let hint = match near {
            Some((distance, near)) if distance <= near.len() / 3 => {
                format!("did you mean {near}? {where_all_are}")
            }
            _ => where_all_are.to_owned(),
        };
        Self::usage(format!("there is no {what} {asked}"), hint)
    }

    /// Wrong usage, with what to do instead.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// A file that cannot be read.
    pub(crate) fn read(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { action: "read", path: path.into(), source }
    }

    /// A file that cannot be written.
    pub(crate) fn write(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { action: "write", path: path.into(), source }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Clap(error) if !error.use_stderr() => Exit::Done,
            Self::Clap(_) | Self::Usage { .. } | Self::NotChecked { .. } => Exit::Usage,
            Self::Journal(error) | Self::Walk(WalkError::Journal(error)) => journal_exit(error),
            Self::Lock(LockError::Taken(_) | LockError::Fenced(_)) => Exit::Locked,
            Self::Walk(WalkError::NoStep(_)) => Exit::Usage,
            Self::File { .. } | Self::State { .. } | Self::Lock(_) | Self::Walk(_) | Self::Internal(_) => {
                Exit::Internal
            }
        }
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::State { hint, .. } => hint.clone(),
            Self::NotChecked { .. } => Some("`runbook explain CODE` says more about a code".to_owned()),
            Self::Lock(error) | Self::Walk(WalkError::Locks(error)) => Some(lock_hint(error)),
            Self::Journal(error) | Self::Walk(WalkError::Journal(error)) => journal_hint(error),
            Self::Walk(WalkError::NoStep(_)) => {
                Some("`runbook steps list` shows the steps it has".to_owned())
            }
            Self::Internal(_) => Some("this is a mistake in the program; please report it".to_owned()),
            Self::Clap(_) | Self::File { .. } | Self::Walk(_) => None,
        }
    }

    /// Says it to a person.
    pub(crate) fn print(&self, screen: &Screen) {
        if let Self::Clap(error) = self {
            // That nobody reads it any more is no reason to fail.
            let _ = error.print();
            return;
        }
        let mut lines = labelled("error:", &clean(&shown(&self.to_string())), 0, screen.width());
        if let Some(hint) = self.hint() {
            lines.extend(labelled("hint:", &clean(&shown(&hint)), 0, screen.width()));
        }
        for line in lines {
            let painted = match line.split_once(' ') {
                Some((word @ "error:", rest)) => format!("{} {rest}", screen.paint.bad(word)),
                Some((word @ "hint:", rest)) => format!("{} {rest}", screen.paint.word(word)),
                _ => line,
            };
            screen.line(painted);
        }
    }
}

#[cfg(feature = "postgres")]
impl From<state_postgres::DatabaseError> for CliError {
    fn from(error: state_postgres::DatabaseError) -> Self {
        let (message, hint) = (error.to_string(), error.help().map(str::to_owned));
        match error {
            state_postgres::DatabaseError::Address(_) => Self::Usage { message, hint },
            _ => Self::State { message, hint },
        }
    }
}

impl From<clap::Error> for CliError {
    fn from(error: clap::Error) -> Self {
        Self::Clap(Box::new(error))
    }
}

fn journal_exit(error: &JournalError) -> Exit {
    match error {
        JournalError::Locked { .. } => Exit::Locked,
        JournalError::NoRun(_) => Exit::Usage,
        JournalError::Io { .. } | JournalError::Damaged { .. } | JournalError::Newer { .. } => Exit::Internal,
    }
}

fn lock_hint(error: &LockError) -> String {
    match error {
        LockError::Taken(held) => terminal::locked_hint(&held.claim.run),
        LockError::Fenced(held) => format!("look at what it did: runbook runs show {}", held.claim.run),
        LockError::Io { path, source, .. } => {
            let why = "locks are kept in $RUNBOOK_STATE (default ~/.local/state/runbook); nothing is done without them";
            io_hint(path, source).unwrap_or_else(|| why.to_owned())
        }
        LockError::Broken { .. } => {
            "locks are kept in $RUNBOOK_STATE (default ~/.local/state/runbook); nothing is done without them"
                .to_owned()
        }
    }
}

fn journal_hint(error: &JournalError) -> Option<String> {
    Some(match error {
        JournalError::Locked { .. } => "wait for it, or go on there".to_owned(),
        JournalError::NoRun(_) => "`runbook runs list` shows all runs".to_owned(),
        JournalError::Damaged { .. } => {
            "it is not continued, because what it says cannot be trusted; `runbook runs verify RUN` says what was done to it"
                .to_owned()
        }
        JournalError::Newer { .. } => "use the newer program".to_owned(),
        JournalError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            let (dir, account) = (crate::place::state_dir(), crate::place::account());
            let dir = dir.display();
            format!(
                "it is not {account}'s. Several accounts share a state directory that belongs to a group of theirs: \
                 `install -d -m 2770 -g GROUP {dir}`, before the run; ask its owner"
            )
        }
        JournalError::Io { path, source, .. } => {
            let why = "runs are kept in $RUNBOOK_STATE (default ~/.local/state/runbook); nothing is done without a journal";
            io_hint(path, source).unwrap_or_else(|| why.to_owned())
        }
    })
}

/// What to do where the file system of the state refuses.
fn io_hint(path: &Path, source: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind;
    let at = path.parent().unwrap_or(path).display();
    Some(match source.kind() {
        ErrorKind::StorageFull => format!("make room on the file system of {at}, then go on"),
        ErrorKind::QuotaExceeded => format!("your quota there is used up: make room in {at}, then go on"),
        ErrorKind::FileTooLarge => {
            "a limit on the size of files (`ulimit -f`) was met: raise it, then go on".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!(
                "the file system of {at} is mounted read-only: have it mended, or go on from another host"
            )
        }
        ErrorKind::StaleNetworkFileHandle | ErrorKind::NotConnected | ErrorKind::HostUnreachable => {
            format!("the file server of {at} is gone: go on when it is back, or from another host")
        }
        ErrorKind::ConnectionAborted => {
            "go on with `runbook resume RUN` when it is back; nothing was done that is not in the journal"
                .to_owned()
        }
        _ => return None,
    })
}
