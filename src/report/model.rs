//! What a report says: the JSON form itself, from which the others are drawn. `docs/report.schema.json` is its schema.

use std::collections::BTreeMap;

use engine::journal::SummaryState;
use engine::step::Price;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the form; fields are only added to one.
pub(crate) const FORMAT: u32 = 1;

/// What happened in a run, for people who were not there. Times are RFC 3339, spans in seconds, memory in bytes; null is
/// unknown, or that there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Report {
    /// Version of this form: 1. Fields may be added to it.
    pub format: u32,
    /// The run.
    pub run: String,
    /// Name of the runbook.
    pub runbook: String,
    /// Its title.
    pub title: String,
    /// Its severity.
    pub severity: Option<String>,
    /// SHA-256 of the runbook's text as it was walked.
    pub runbook_digest: String,
    /// Version of the program that began the run.
    pub program: String,
    /// The recording on which it was rehearsed; null: it was real.
    pub recording: Option<String>,
    /// What it is about: `job 123456`.
    pub target: String,
    /// Its inputs; secret ones are not there.
    pub inputs: BTreeMap<String, Value>,
    /// Who walked it, in order.
    pub operators: Vec<Operator>,
    /// When it was begun.
    pub started: String,
    /// When its last entry was written.
    pub last: String,
    /// Seconds from one to the other.
    pub seconds: f64,
    /// Seconds of these that it waited for people at gates and questions.
    pub waited_seconds: f64,
    /// How far it is.
    pub state: SummaryState,
    /// How it ended; null if it has not.
    pub end: Option<End>,
    /// Whom and what all its changes hit together, and what was lost by them.
    pub lost: Lost,
    /// Everything in order.
    pub timeline: Vec<Moment>,
    /// What was found out by reading.
    pub evidence: Vec<Evidence>,
    /// GPU memory before and after, as far as messages and logs told it.
    pub memory: Vec<Memory>,
    /// What was shown, and who agreed.
    pub gates: Vec<Gate>,
    /// What people were asked to choose.
    pub questions: Vec<Question>,
    /// What was taken back, or could not be.
    pub undone: Vec<Undoing>,
    /// What is left to do, a line each.
    pub open: Vec<String>,
    /// Whether the journal is what was written, as `runbook runs verify` finds it.
    pub chain: Chain,
    /// The nodes that were visited, in order, the end included.
    pub path: Vec<String>,
}

/// Somebody who walked the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Operator {
    /// The account.
    pub account: String,
    /// The host.
    pub host: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct End {
    /// `resolved`, `no_action` or `escalated`.
    pub kind: String,
    /// The node.
    pub node: String,
    /// What was found, what is left to do.
    pub message: Option<String>,
}

/// Whom and what all changes of a run hit together, those that were taken back included, and what was lost by them. Null is
/// unknown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Lost {
    /// Nodes.
    pub nodes: Vec<String>,
    /// Accounts whose work was hit.
    pub users: Vec<String>,
    /// Jobs.
    pub jobs: Vec<String>,
    /// Training steps since the last good checkpoints.
    pub steps: Option<u64>,
    /// GPU-hours since the last good checkpoints.
    pub gpu_hours: Option<f64>,
    /// What was lost in words.
    pub words: String,
}

/// Who and what is hit and what is lost, also in words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Priced {
    /// The price that the gate showed.
    #[serde(flatten)]
    pub price: Price,
    /// The same in words.
    pub words: Vec<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Moment {
    /// When it was over.
    pub at: String,
    /// Seconds since the thing before it.
    pub seconds: f64,
    /// Seconds of these that people were waited for.
    pub waited_seconds: f64,
    /// What it is.
    pub what: What,
    /// Number of the visit.
    pub visit: Option<u64>,
    /// The node.
    pub node: Option<String>,
    /// The box of the page's flow.
    pub flow: Option<String>,
    /// What the box says, or what happened.
    pub title: String,
    /// The step kind.
    pub step: Option<String>,
    /// The word it ended with: an outcome, `broke`, `declined`, what came of an undo; null: it has not ended.
    pub outcome: Option<String>,
    /// Something was changed.
    pub changed: bool,
    /// Who chose or did it, if a person did.
    pub by: Option<String>,
    /// A few lines of what was found.
    pub summary: Vec<String>,
}

/// What a moment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// A passage through a node.
    Visit,
    /// A change was looked at and taken back, or not.
    Undo,
    /// A change that was in doubt was looked into.
    Confirmed,
    /// The process stopped.
    Stopped,
    /// A process took it up again.
    Resumed,
    /// Somebody asked for changes to be taken back.
    Rollback,
    /// A lock was taken over.
    TookOver,
    /// The run ended.
    Ended,
}

/// What a read yielded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Evidence {
    /// The visit.
    pub visit: u64,
    /// The node.
    pub node: String,
    /// What its box says.
    pub title: String,
    /// The step kind; `runbook steps show KIND` documents the fields of `output`.
    pub step: String,
    /// The outcome.
    pub outcome: String,
    /// The typed record.
    pub output: Value,
    /// Units of its numbers by the name of their field.
    pub units: BTreeMap<String, Unit>,
}

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// GPU-hours.
    GpuHours,
}

/// GPU memory at one time, bytes. Null: nobody told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Memory {
    /// The visit that read it.
    pub visit: u64,
    /// Whose memory and when, in words.
    pub title: String,
    /// Whether memory ran out there.
    pub failed: bool,
    /// It was followed for a while: `reserved` is the most that was seen.
    pub most: bool,
    /// Of the device.
    pub capacity: Option<u64>,
    /// Allocated by PyTorch.
    pub allocated: Option<u64>,
    /// Reserved by PyTorch and not allocated: the gap.
    pub reserved_unallocated: Option<u64>,
    /// Reserved by PyTorch in total.
    pub reserved: Option<u64>,
    /// Used by the process, context and libraries included.
    pub this_process: Option<u64>,
    /// Free on the device.
    pub free: Option<u64>,
    /// Asked for and refused.
    pub tried: Option<u64>,
}

/// A change, or a read that was to be agreed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Gate {
    /// The visit.
    pub visit: u64,
    /// The node.
    pub node: String,
    /// The box of the page's flow.
    pub flow: Option<String>,
    /// What its box says.
    pub title: String,
    /// The step kind.
    pub step: String,
    /// The visit whose change it takes back, if it does.
    pub undoes: Option<u64>,
    /// What was asked.
    pub prompt: String,
    /// When it was opened.
    pub opened: String,
    /// When it would have closed by itself.
    pub closes: Option<String>,
    /// Who had to agree, in words.
    pub needs: String,
    /// It had asked before, and what it showed had changed since.
    pub again: bool,
    /// What had changed, a line each.
    pub changed: Vec<String>,
    /// What was shown of each change.
    pub items: Vec<Item>,
    /// What consent was bound to: SHA-256 over what was shown, what it rested on, and who had to agree.
    pub digest: String,
    /// Who answered.
    pub answers: Vec<Answer>,
    /// What came of asking.
    pub state: GateState,
    /// What came of the change: an outcome, `broke`, `in doubt`, `did not happen`; null: it was not begun.
    pub effect: Option<String>,
}

/// What came of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GateState {
    /// As many agreed as had to.
    Agreed,
    /// Somebody said no.
    Declined,
    /// It was asked anew: not enough agreed before, or what they agreed to had changed.
    Void,
    /// It waits.
    Open,
}

/// What was shown of one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Item {
    /// What is acted on.
    pub target: String,
    /// The exact commands.
    pub commands: Vec<String>,
    /// The exact edits.
    pub diffs: Vec<Diff>,
    /// What there was to know.
    pub notes: Vec<String>,
    /// How it can be taken back; null: it cannot.
    pub undo: Option<String>,
    /// Who and what it hits.
    pub price: Priced,
    /// SHA-256 of all of this.
    pub digest: String,
}

/// An edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Diff {
    /// The file.
    pub path: String,
    /// Unified diff.
    pub unified: String,
}

/// An answer at a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Answer {
    /// When.
    pub at: String,
    /// The account.
    pub by: String,
    /// How, if not at the terminal of the run.
    pub via: Option<String>,
    /// Yes or no.
    pub approved: bool,
    /// Its words.
    pub reason: Option<String>,
    /// Why it does not count; null: it does.
    pub refused: Option<String>,
    /// Seconds after the gate was opened.
    pub seconds: f64,
}

/// What a person was asked to choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Question {
    /// The visit.
    pub visit: u64,
    /// The node.
    pub node: String,
    /// What its box says.
    pub title: String,
    /// What was asked.
    pub prompt: String,
    /// What there was to look at.
    pub details: Vec<String>,
    /// The choices: outcome and what it means.
    pub choices: Vec<(String, String)>,
    /// When it was asked.
    pub asked: String,
    /// The outcome that was chosen; null: nobody answered.
    pub chosen: Option<String>,
    /// The account that chose it.
    pub by: Option<String>,
    /// Seconds it took.
    pub seconds: Option<f64>,
}

/// A change that was to be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Undoing {
    /// When.
    pub at: String,
    /// The visit whose change it is.
    pub visit: u64,
    /// The node.
    pub node: String,
    /// What its box says.
    pub title: String,
    /// `taken back`, `nothing to take back`, `left as it is`, `not taken back`.
    pub result: String,
    /// More about it.
    pub text: String,
}

/// Whether the journal is what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Chain {
    /// It is.
    pub holds: bool,
    /// Its entries.
    pub entries: u64,
    /// SHA-256 of its last line.
    pub head: Option<String>,
    /// What was done to it.
    pub findings: Vec<String>,
    /// Where a head was noted with which it was compared; empty: a tail that was cut off would not show.
    pub compared: Vec<String>,
}
