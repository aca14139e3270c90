//! What can go wrong with a database, without ever repeating an address as it was given: it may hold a password.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use engine::journal::JournalError;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address makes no sense, or says more than it may.
    #[error("the address of the state database {0}")]
    Address(String),
    /// The file with passwords cannot be used.
    #[error("cannot use the password file {path}: {why}")]
    Passfile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// What an encrypted connection needs is not there.
    #[error("cannot encrypt the connection to {place}: {why}")]
    Tls {
        /// The database.
        place: String,
        /// Why.
        why: String,
    },
    /// The database does not answer or lets nobody in.
    #[error("cannot connect to {place}: {why}")]
    Connect {
        /// The database.
        place: String,
        /// Why.
        why: String,
    },
    /// It has no tables for runs.
    #[error("{place} has no tables for runs yet")]
    Bare {
        /// The database.
        place: String,
    },
    /// Its tables are those of an older or a newer program.
    #[error("the tables of {place} have version {found}; this program knows {known}")]
    Version {
        /// The database.
        place: String,
        /// Theirs.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// The server refused something.
    #[error("{place}: {why}")]
    Refused {
        /// The database.
        place: String,
        /// Why.
        why: String,
    },
    /// No thread can be started for the connection.
    #[error("cannot start a thread for the database: {0}")]
    Thread(std::io::Error),
}

impl DatabaseError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Address(_) => {
                "write postgres://[USER@]HOST[:PORT]/DATABASE[?sslmode=disable]; a password goes into ~/.pgpass or $PGPASSFILE"
            }
            Self::Passfile { .. } => {
                "its lines are HOST:PORT:DATABASE:USER:PASSWORD, and nobody else may read it (chmod 600)"
            }
            Self::Tls { .. } => {
                "give the site's certificates by ?sslrootcert=FILE; without encryption only by ?sslmode=disable"
            }
            Self::Connect { .. } => {
                "passwords are taken from ~/.pgpass, $PGPASSFILE or $PGPASSWORD; nothing was begun"
            }
            Self::Bare { .. } => "an account that may create tables there runs `runbook state init` once",
            Self::Version { found, known, .. } if found > known => "use the newer program",
            Self::Version { .. } => "the owner of the tables runs `runbook state init`",
            Self::Refused { .. } => "`runbook state init --operators ROLE` lets the members of a role in",
            Self::Thread(_) => return None,
        })
    }
}

/// Why a question to the server has no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server said no: nothing was done.
    Refused {
        /// SQLSTATE.
        code: String,
        /// Its words; never a row.
        message: String,
    },
    /// The connection is gone: what was asked for may have been done or not.
    Lost(String),
}

/// Somebody else took the run up.
pub(crate) const FENCED: &str = "RB001";
/// An entry does not follow the last one.
pub(crate) const FOLLOWS_NOT: &str = "RB002";
/// There is such a row already (`unique_violation`).
pub(crate) const TWICE: &str = "23505";

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { message, .. } => f.write_str(message),
            Self::Lost(why) => write!(f, "the database does not answer: {why}"),
        }
    }
}

impl Fault {
    /// The SQLSTATE with which the server refused.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Lost(_) => None,
        }
    }

    /// As an error of a journal.
    pub(crate) fn journal(self, action: &'static str, path: &Path) -> JournalError {
        let kind = match self {
            Self::Refused { .. } => ErrorKind::Other,
            Self::Lost(_) => ErrorKind::ConnectionAborted,
        };
        JournalError::Io {
            action,
            path: path.to_owned(),
            source: std::io::Error::new(kind, self.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // A session that is ended from outside may have been ended right after a commit.
            Some(db) if !matches!(db.severity(), "FATAL" | "PANIC") => {
                Self::Refused { code: db.code().code().to_owned(), message: db.message().to_owned() }
            }
            _ => Self::Lost(words(&error)),
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return db.message().to_owned();
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = inner.source();
    }
    words
}
