//! Why the outside world could not be asked.

use serde::{Deserialize, Serialize};

/// How far an action on a site got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteErrorKind {
    /// It provably did not start: no such program, connection refused, refused host name.
    NotStarted,
    /// The host could not be reached; nothing was started there.
    Unreachable,
    /// It ran past its time limit. Whether it had its effect is not known.
    Timeout,
    /// It started and the connection or the process was lost. Whether it had its effect is not known.
    Unknown,
    /// The file is not there.
    NotFound,
    /// Not allowed.
    Denied,
    /// The file is no longer what it was expected to be (see [`Site::replace`](crate::site::Site::replace)).
    Conflict,
    /// A recording has no such exchange.
    NotRecorded,
    /// Any other input or output error of a file.
    Io,
}

/// An action on a site that gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SiteError {
    /// How far it got.
    pub kind: SiteErrorKind,
    /// What happened, where, in words that fit after "could not …:".
    pub message: String,
}

impl SiteError {
    /// An error of `kind` with its message.
    pub fn new(kind: SiteErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Whether the action may have had its effect.
    pub fn in_doubt(&self) -> bool {
        matches!(self.kind, SiteErrorKind::Timeout | SiteErrorKind::Unknown)
    }
}
