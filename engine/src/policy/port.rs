//! The port to the site's policy: what its administrators demand of every change, whatever an author wrote.

use serde::{Deserialize, Serialize};

use crate::budget::Limits;
use crate::plan::Approve;
use crate::run::{Rule, RunId};
use crate::step::Effect;

/// A change that is about to be shown, as far as a policy may look at it.
#[derive(Debug, Clone, Copy)]
pub struct Intended<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The runbook.
    pub runbook: &'a str,
    /// The node.
    pub node: &'a str,
    /// The step kind.
    pub kind: &'a str,
    /// The most that it does.
    pub effect: Effect,
    /// What it acts on: `job/123456`, `node/gpu-21`, `file//home/ada/train.sbatch`.
    pub targets: &'a [String],
}

/// What a policy demands of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// A gate that at least this rule guards.
    Gate(Rule),
    /// Nothing beyond what the author wrote.
    Nothing,
    /// It must not be made; why.
    Forbidden(String),
}

/// What the administrators of a site demand. It fails closed: what cannot be read forbids.
pub trait Policy: Send + Sync {
    /// What it demands of this change.
    fn demands(&self, change: &Intended<'_>) -> Demand;

    /// A digest of its text: consent is bound to it.
    fn digest(&self) -> String;

    /// How much all changes together may use up.
    fn limits(&self) -> Limits {
        Limits::new()
    }
}

/// Who has to agree to a change: what its author wrote and what the site demands, the stricter of both. `None` if nobody
/// has to.
///
/// # Errors
/// Why the site forbids it.
pub fn ruling(policy: &dyn Policy, written: &Approve, change: &Intended<'_>) -> Result<Option<Rule>, String> {
    let written = match written {
        Approve::Default => Some(Rule::default()),
        Approve::Required { rule, .. } => Some((**rule).clone()),
        Approve::Never => None,
    };
    match policy.demands(change) {
        Demand::Forbidden(why) => Err(why),
        Demand::Nothing => Ok(written),
        Demand::Gate(rule) => Ok(Some(written.map_or(rule.clone(), |written| written.tighten(&rule)))),
    }
}

/// A policy that cannot be used: no change is made.
#[derive(Debug, Clone)]
pub struct Closed(
    /// Why it cannot be used.
    pub String,
);

impl Policy for Closed {
    fn demands(&self, _change: &Intended<'_>) -> Demand {
        Demand::Forbidden(format!("it cannot be used, so nothing may be changed: {}", self.0))
    }

    fn digest(&self) -> String {
        "closed".to_owned()
    }
}

/// A site that demands nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPolicy;

impl Policy for NoPolicy {
    fn demands(&self, _change: &Intended<'_>) -> Demand {
        Demand::Nothing
    }

    fn digest(&self) -> String {
        String::new()
    }
}
