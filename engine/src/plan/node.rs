//! One box of the flow and everything that was written about it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InputSpec, Next};
use crate::run::Rule;
use crate::step::StepErrorKind;

/// One box of the flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name in the plan; a node of an inlined runbook carries the name of the node that runs it: `fault/drain`.
    pub id: String,
    /// The scope whose names its templates see: a key of [`PlanData::scopes`](super::PlanData::scopes).
    pub scope: String,
    /// What the box says.
    pub title: String,
    /// The box of the page's Mermaid flow that it is.
    pub flow: Option<String>,
    /// Why it is done, for people.
    pub why: Option<String>,
    /// What happens here.
    pub body: Body,
}

impl Node {
    /// Its name within its own runbook: `drain` of `fault/drain`.
    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or(&self.id)
    }

    /// The step it binds to, if it binds to one.
    pub fn step(&self) -> Option<&StepNode> {
        match &self.body {
            Body::Step(step) => Some(step),
            Body::Enter(_) | Body::End { .. } => None,
        }
    }
}

/// What happens at a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A step is executed.
    Step(Box<StepNode>),
    /// Another runbook begins (`step: runbook`); it was inlined, and its ends are the outcomes.
    Enter(Box<Enter>),
    /// The walk of this scope ends.
    End {
        /// How.
        end: EndKind,
        /// A template: what was found, what is left to do.
        message: Option<String>,
    },
}

/// How a walk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    /// The cause is gone, and that was proven.
    Resolved,
    /// There was nothing to do.
    NoAction,
    /// A person has to take over.
    Escalated,
}

impl EndKind {
    /// The word in YAML, which is also the outcome of a node that runs a runbook.
    pub fn word(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::NoAction => "no_action",
            Self::Escalated => "escalated",
        }
    }
}

/// The names that the templates of one runbook see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Name of the runbook.
    pub runbook: String,
    /// What it takes.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Its variables with their initial templates, in written order.
    pub vars: Vec<(String, Value)>,
}

/// The beginning of an inlined runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enter {
    /// The scope that is entered.
    pub scope: String,
    /// The inlined runbook's first node.
    pub start: String,
    /// Its inputs: templates that the surrounding scope evaluates.
    pub with: Value,
    /// Visits allowed in one run.
    pub max_visits: Option<u32>,
    /// Where its ends lead.
    pub next: Next,
}

/// A node that binds to a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepNode {
    /// The step kind.
    pub kind: String,
    /// Parameters as written: every string in the tree is a template.
    pub with: Value,
    /// The gate.
    pub approve: Approve,
    /// How it is taken back.
    pub undo: Undo,
    /// What is tried again.
    pub retry: Retry,
    /// Longest time for one attempt.
    pub timeout: Option<Duration>,
    /// Visits allowed in one run; needed in a loop.
    pub max_visits: Option<u32>,
    /// What happens when the step breaks.
    pub on_failure: OnFailure,
    /// Fan-out over a list.
    pub for_each: Option<Box<ForEach>>,
    /// Refined outcomes: name and expression over `output`; the first true one replaces the step's own outcome.
    pub refine: Vec<(String, String)>,
    /// Variables set when the node has its outcome: name and template.
    pub set: Vec<(String, Value)>,
    /// Every outcome this node can have, the refined ones included.
    pub outcomes: Vec<String>,
    /// Where its outcomes lead.
    pub next: Next,
    /// Where "no" at the gate leads; without it the run is held.
    pub declined: Option<String>,
}

/// What the author said about the gate of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approve {
    /// Nothing: a change is gated, a read is not.
    #[default]
    Default,
    /// A gate, also before a read.
    Required {
        /// A template: what the person is asked.
        prompt: Option<String>,
        /// Who has to agree.
        rule: Box<Rule>,
    },
    /// No gate, even before a change.
    Never,
}

/// How a change is taken back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// The step's own inverse, where it has one.
    #[default]
    Auto,
    /// Another step.
    Step {
        /// Its kind.
        kind: String,
        /// Its parameters; evaluated and journaled before the change.
        with: Value,
    },
}

/// What is tried again after a break, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all; 1 is no retry.
    pub attempts: u32,
    /// Time before the second attempt.
    pub delay: Duration,
    /// Factor by which the delay grows with every further attempt.
    pub backoff: f64,
    /// The breaks after which another attempt is made.
    pub on: Vec<StepErrorKind>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            delay: Duration::from_secs(5),
            backoff: 2.0,
            on: vec![StepErrorKind::Unreachable, StepErrorKind::Timeout],
        }
    }
}

/// What happens when a step breaks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run is held with its evidence; a person resumes it.
    #[default]
    Stop,
    /// What was changed is taken back, newest first, up to the first change that cannot be.
    Unwind,
    /// The walk goes on at this node.
    Goto(String),
}

/// Fan-out of one node over a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForEach {
    /// Template of the list.
    pub items: String,
    /// The name by which templates of the node see the item.
    pub item: String,
    /// Items in flight at one time.
    pub at_once: u32,
    /// Items that may break without breaking the node.
    pub tolerate: u32,
}
