//! The point where a change waits for a person.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::RunId;
use crate::site::digest;
use crate::step::{AnyPreview, FileDiff, Question};

/// What is shown of one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateItem {
    /// What is acted on.
    pub target: String,
    /// The exact commands.
    pub commands: Vec<String>,
    /// The exact edits.
    pub diffs: Vec<FileDiff>,
    /// What to know before saying yes.
    pub notes: Vec<String>,
    /// How it can be taken back; `None` if it cannot.
    pub undo: Option<String>,
    /// Digest of all of this, the parameters and the step's own data.
    pub digest: String,
}

impl GateItem {
    /// What is shown of a preview.
    pub fn new(kind: &str, params: &serde_json::Value, preview: &AnyPreview) -> Self {
        let bound = json!([
            kind,
            params,
            preview.target,
            preview.commands,
            preview.diffs,
            preview.notes,
            preview.undo,
            preview.intent
        ]);
        Self {
            target: preview.target.clone(),
            commands: preview.commands.clone(),
            diffs: preview.diffs.clone(),
            notes: preview.notes.clone(),
            undo: preview.undo.clone(),
            digest: digest(bound.to_string().as_bytes()),
        }
    }
}

/// What waits at a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// What the person is asked, one sentence.
    pub prompt: String,
    /// The step kind.
    pub kind: String,
    /// Whether anything is changed; a gate may also stand before a read.
    pub changes: bool,
    /// The changes; more than one in a fan-out.
    pub items: Vec<GateItem>,
    /// Digest over all items: what consent is bound to.
    pub digest: String,
    /// The gate asked before and what it showed has changed since.
    pub again: bool,
}

impl Gate {
    /// The digest of these items.
    pub fn digest_of(items: &[GateItem]) -> String {
        let all: Vec<&str> = items.iter().map(|item| item.digest.as_str()).collect();
        digest(all.join("\n").as_bytes())
    }
}

/// Where somebody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedOf {
    /// The run.
    pub run: RunId,
    /// The visit.
    pub visit: u64,
    /// The node.
    pub node: String,
    /// What the node's box says.
    pub title: String,
}

/// What came back from asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// Somebody decided.
    Given(Decided<T>),
    /// Nobody is there to answer: the run parks.
    Nobody,
}

/// A decision and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided<T> {
    /// What was decided.
    pub value: T,
    /// The account, or the flag that answered.
    pub by: String,
    /// Their words.
    pub reason: Option<String>,
}

/// The port to the people who consent and choose.
#[async_trait]
pub trait Operator: Send + Sync {
    /// Asks for consent to what the gate shows. It fails closed: no terminal, no answer, end of input are
    /// [`Answer::Nobody`].
    async fn consent(&self, at: &AskedOf, gate: &Gate) -> Answer<bool>;

    /// Asks for one of the question's outcomes.
    async fn choose(&self, at: &AskedOf, question: &Question) -> Answer<String>;
}
