//! Why a step broke. A step that breaks has no outcome: its node fails.

use serde::{Deserialize, Serialize};

use crate::site::{SiteError, SiteErrorKind};

/// What kind of break it was; the words that `retry.on` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepErrorKind {
    /// Its parameters do not fit, or a needed one is unknown.
    Params,
    /// A host or service could not be reached; nothing was started.
    Unreachable,
    /// It took longer than allowed.
    Timeout,
    /// Not allowed.
    Denied,
    /// It got an answer that it does not understand.
    Malformed,
    /// The world is no longer what was agreed to; nothing was changed.
    Drifted,
    /// It may or may not have had its effect.
    InDoubt,
    /// A recording has no such exchange.
    NotRecorded,
    /// Anything else.
    Failed,
}

/// A step that could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct StepError {
    /// What kind of break it was.
    pub kind: StepErrorKind,
    /// What happened and where, one sentence.
    pub message: String,
    /// What a person can do about it.
    pub help: Option<String>,
}

impl StepError {
    /// An error of `kind` with its message.
    pub fn new(kind: StepErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None }
    }

    /// An answer that is not understood.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StepErrorKind::Malformed, message)
    }

    /// Any other failure.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(StepErrorKind::Failed, message)
    }

    /// The same error with what a person can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<SiteError> for StepError {
    fn from(error: SiteError) -> Self {
        let kind = match error.kind {
            SiteErrorKind::Unreachable => StepErrorKind::Unreachable,
            SiteErrorKind::Timeout => StepErrorKind::Timeout,
            SiteErrorKind::Unknown => StepErrorKind::InDoubt,
            SiteErrorKind::Denied => StepErrorKind::Denied,
            SiteErrorKind::Conflict => StepErrorKind::Drifted,
            SiteErrorKind::NotRecorded => StepErrorKind::NotRecorded,
            SiteErrorKind::NotStarted | SiteErrorKind::NotFound | SiteErrorKind::Io => StepErrorKind::Failed,
        };
        Self::new(kind, error.message)
    }
}
