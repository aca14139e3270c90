//! What a step shows before it acts and what it says afterwards.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Price;

/// A file as it is and as it would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDiff {
    /// The file.
    pub path: String,
    /// Unified diff with three lines of context.
    pub unified: String,
}

/// Content that a file would get; a dry run lets later reads see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWrite {
    /// The file.
    pub path: String,
    /// Its new content.
    pub content: Vec<u8>,
}

/// An outcome a change would have, as far as can be told beforehand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predicted<T> {
    /// The outcome.
    pub outcome: String,
    /// Its output; fields that cannot be known before are `null`.
    pub output: T,
}

/// What a change would do, found out by reads alone.
///
/// Consent binds to the digest of everything in here but `predicted`, `writes` and [what grows](Price::bound) of `price`: if a second preview right before
/// the act differs, the gate asks again. So nothing volatile (times, percentages) belongs into it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview<I, O> {
    /// What is acted on, for people: `job 123456 on cluster lab`, `/path/train.sbatch`.
    pub target: String,
    /// The exact commands, as a person would type them.
    pub commands: Vec<String>,
    /// The exact edits.
    pub diffs: Vec<FileDiff>,
    /// What a person should know before saying yes: who and what is hit, what is odd.
    pub notes: Vec<String>,
    /// How it can be taken back, or `None` if it cannot.
    pub undo: Option<String>,
    /// Who and what is hit and what is lost.
    pub price: Price,
    /// What performing, confirming and undoing need: digests, original content, tokens. Journaled before the act.
    pub intent: I,
    /// The possible outcomes, the likeliest first; empty if nothing can be said.
    pub predicted: Vec<Predicted<O>>,
    /// New contents of files, for a dry run's later reads.
    pub writes: Vec<FileWrite>,
    /// There is nothing to do: the node ends with this, no gate opens and nothing is performed.
    pub nothing_to_do: Option<Done<O>>,
}

impl<I: Default, O> Preview<I, O> {
    /// A preview that ends the node at once, because there is nothing to do or nothing can be done.
    pub fn nothing(done: Done<O>) -> Self {
        Self {
            target: String::new(),
            commands: Vec::new(),
            diffs: Vec::new(),
            notes: Vec::new(),
            undo: None,
            price: Price::nothing(),
            intent: I::default(),
            predicted: Vec::new(),
            writes: Vec::new(),
            nothing_to_do: Some(done),
        }
    }
}

/// A step's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done<O> {
    /// One of the declared outcomes.
    pub outcome: String,
    /// The typed record; unknown values are `null`.
    pub output: O,
    /// What a tired person should read of it: a few short lines, the most important first.
    pub summary: Vec<String>,
}

impl<O> Done<O> {
    /// An answer without summary lines.
    pub fn new(outcome: impl Into<String>, output: O) -> Self {
        Self { outcome: outcome.into(), output, summary: Vec::new() }
    }

    /// The same answer with one more line for people.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.summary.push(line.into());
        self
    }
}

/// Something only a person can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// One sentence.
    pub prompt: String,
    /// What the person should look at before answering.
    pub details: Vec<String>,
    /// The answers; each is an outcome of the node.
    pub choices: Vec<Choice>,
}

/// One possible answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The outcome.
    pub outcome: String,
    /// What it means.
    pub label: String,
}

/// What came of performing a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Performed<O> {
    /// It answered.
    Done(Done<O>),
    /// It needs a person; the chosen outcome ends the node, with `output`.
    Ask(Question, O),
}

impl<O> From<Done<O>> for Performed<O> {
    fn from(done: Done<O>) -> Self {
        Self::Done(done)
    }
}

/// Whether an intended change happened, found out by reads alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Confirmation<O> {
    /// It did, and this is the step's answer.
    Happened(Done<O>),
    /// It did not: it may be performed (again).
    DidNot,
    /// It was cut off half-way, what it did so far is known, and performing it with the same intent brings it to its end.
    Begun(String),
    /// It cannot be told; the reason. A person decides.
    Unknown(String),
}

/// What came of taking a change back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Undone {
    /// It is as it was before; what was done, in a line.
    Restored(String),
    /// The change had not happened or was taken back already.
    NothingToDo(String),
    /// It cannot be taken back; why.
    Cannot(String),
    /// A person said to leave it as it is.
    Left(String),
}

/// What taking a change back would do, found out by reads alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum UndoPreview {
    /// This.
    Would(UndoPlan),
    /// Nothing: the change did not happen, or is taken back already; why that is known.
    NothingToDo(String),
    /// It cannot be taken back; why.
    Cannot(String),
}

/// What taking a change back would do. Consent binds to all of it but the losses of the price, so nothing volatile belongs
/// into the rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UndoPlan {
    /// What is acted on, for people.
    pub target: String,
    /// The exact commands.
    pub commands: Vec<String>,
    /// The exact edits.
    pub diffs: Vec<FileDiff>,
    /// What a person should know before saying yes.
    pub notes: Vec<String>,
    /// What it costs others.
    #[serde(default)]
    pub price: Price,
    /// Looking cannot tell whether it was taken back already: after a crash in the middle a person has to say so.
    pub blind: bool,
}

/// A preview with its types erased.
pub type AnyPreview = Preview<Value, Value>;
