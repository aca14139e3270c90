//! What a dry run shows: every path that a real run could take from here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::EndKind;
use crate::policy::Demand;
use crate::run::GateItem;
use crate::template::Standing;

/// The result of a dry run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DryRun {
    /// The first node and all that follows.
    pub first: Shown,
    /// Whether every path is in it: false where something broke or the tree became too large.
    pub complete: bool,
}

/// One node on a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Number within the tree, from 1; [`How::Again`] refers to it.
    pub number: usize,
    /// The node.
    pub node: String,
    /// What its box says.
    pub title: String,
    /// The box of the page's flow.
    pub flow: Option<String>,
    /// The step kind; `None` for an end or the way into another runbook.
    pub kind: Option<String>,
    /// How it was treated.
    pub how: How,
    /// What the policy of the site adds to what the author wrote; `None` if nothing, or if it is no change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Demand>,
    /// The outcomes it may have and what follows each.
    pub branches: Vec<Branch>,
}

/// How a node was treated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was executed: it only reads.
    Read,
    /// It was executed, but a change that comes before it in a real run may alter what it finds.
    ReadTooEarly,
    /// A change that would be made; nothing was changed.
    Change {
        /// What would be shown at the gate.
        items: Vec<GateItem>,
        /// Whether a person would be asked.
        gated: bool,
    },
    /// It depends on what only a real run can know, so it was not executed.
    Open {
        /// What it depends on.
        on: Vec<String>,
        /// Whether it would change something.
        changes: bool,
    },
    /// A person would be asked.
    Ask {
        /// What.
        prompt: String,
    },
    /// Another runbook begins.
    Enter,
    /// The run would end here.
    End {
        /// How.
        end: EndKind,
        /// Its message.
        message: Option<String>,
    },
    /// The step broke.
    Failed {
        /// How.
        error: String,
        /// What a person can do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
    /// From here on everything is as at this number.
    Again {
        /// The number.
        number: usize,
    },
    /// Visited as often as it may be: a real run would fail here.
    TooOften,
    /// The tree became too large.
    Cut,
}

/// One outcome and what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// The outcome.
    pub outcome: String,
    /// What the flow writes on the edge.
    pub label: Option<String>,
    /// Whether it was measured, predicted, or is one of several possible.
    pub standing: Standing,
    /// A few lines of what was found.
    pub summary: Vec<String>,
    /// The record.
    pub output: Value,
    /// What follows.
    pub then: Box<Shown>,
}
