//! What is said to an executable, and what it may answer.

use std::collections::BTreeMap;

use engine::step::{Confirmation, Done, FileDiff, Price, StepError, StepErrorKind, Undone};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the protocol.
pub(super) const PROTOCOL: u32 = 1;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verb {
    Describe,
    Preview,
    Perform,
    Confirm,
    Undo,
}

impl Verb {
    /// The argument that it is given by.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Preview => "preview",
            Self::Perform => "perform",
            Self::Confirm => "confirm",
            Self::Undo => "undo",
        }
    }
}

/// A question.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) protocol: u32,
    pub(super) verb: Verb,
    /// Names the visit for ever: a change leaves it where it can be found by it.
    pub(super) token: &'a str,
    pub(super) params: &'a Value,
    /// What the preview gave to keep; `null` before it.
    pub(super) intent: &'a Value,
}

/// An answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer<T> {
    Ok(T),
    Error(Refusal),
}

/// Why there is none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    kind: Kind,
    message: String,
    #[serde(default)]
    help: Option<String>,
}

/// The kinds of error that a step may name; what the program finds out by itself is not among them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Params,
    Unreachable,
    Timeout,
    Denied,
    Drifted,
    InDoubt,
    Failed,
}

impl Refusal {
    pub(super) fn error(self, from: &str) -> StepError {
        let kind = match self.kind {
            Kind::Params => StepErrorKind::Params,
            Kind::Unreachable => StepErrorKind::Unreachable,
            Kind::Timeout => StepErrorKind::Timeout,
            Kind::Denied => StepErrorKind::Denied,
            Kind::Drifted => StepErrorKind::Drifted,
            Kind::InDoubt => StepErrorKind::InDoubt,
            Kind::Failed => StepErrorKind::Failed,
        };
        let error = StepError::new(kind, format!("{from}: {}", self.message));
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

/// What it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub(super) protocol: u32,
    pub(super) summary: String,
    pub(super) effect: Does,
    pub(super) outcomes: BTreeMap<String, String>,
    pub(super) params: Value,
    pub(super) output: Value,
    #[serde(default)]
    pub(super) targets: Vec<String>,
    #[serde(default)]
    pub(super) timeout: Option<crate::duration::Timespan>,
}

/// What it does at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Does {
    Reads,
    Reversible,
    Irreversible,
}

/// What it would do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Previewed {
    pub(super) target: String,
    #[serde(default)]
    pub(super) commands: Vec<String>,
    #[serde(default)]
    pub(super) diffs: Vec<FileDiff>,
    #[serde(default)]
    pub(super) notes: Vec<String>,
    #[serde(default)]
    pub(super) undo: Option<String>,
    #[serde(default)]
    pub(super) price: Option<Priced>,
    #[serde(default)]
    pub(super) intent: Value,
    #[serde(default)]
    pub(super) predicted: Vec<Said>,
    #[serde(default)]
    pub(super) nothing_to_do: Option<Said>,
}

/// Who and what it hits; what is left out is unknown.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Priced {
    gpus: Option<u64>,
    nodes: Vec<String>,
    users: Vec<String>,
    jobs: Vec<String>,
    steps_lost: Option<u64>,
    gpu_hours_lost: Option<f64>,
}

impl From<Priced> for Price {
    fn from(priced: Priced) -> Self {
        let Priced { gpus, nodes, users, jobs, steps_lost, gpu_hours_lost } = priced;
        Self { gpus, nodes, users, jobs, steps_lost, gpu_hours_lost }
    }
}

/// How it ended.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    pub(super) outcome: String,
    pub(super) output: Value,
    #[serde(default)]
    summary: Vec<String>,
}

impl From<Said> for Done<Value> {
    fn from(said: Said) -> Self {
        Self { outcome: said.outcome, output: said.output, summary: said.summary }
    }
}

/// Whether it happened.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Confirmed {
    Happened(Said),
    DidNot,
    Begun(String),
    Unknown(String),
}

impl From<Confirmed> for Confirmation<Value> {
    fn from(confirmed: Confirmed) -> Self {
        match confirmed {
            Confirmed::Happened(said) => Self::Happened(said.into()),
            Confirmed::DidNot => Self::DidNot,
            Confirmed::Begun(what) => Self::Begun(what),
            Confirmed::Unknown(why) => Self::Unknown(why),
        }
    }
}

/// What came of taking it back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TookBack {
    Restored(String),
    NothingToDo(String),
    Cannot(String),
}

impl From<TookBack> for Undone {
    fn from(took: TookBack) -> Self {
        match took {
            TookBack::Restored(text) => Self::Restored(text),
            TookBack::NothingToDo(text) => Self::NothingToDo(text),
            TookBack::Cannot(text) => Self::Cannot(text),
        }
    }
}
