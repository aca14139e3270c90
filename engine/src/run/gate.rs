//! The point where a change waits for a person.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Rule, RunId};
use crate::site::digest;
use crate::step::{AnyPreview, FileDiff, Price, Question};

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
    /// Who and what is hit and what is lost; all unknown in a journal of an earlier program.
    #[serde(default)]
    pub price: Price,
    /// Digest of all of this but what [grows](Price::bound) of the price, the parameters and the step's own data.
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
            preview.price.bound(),
            preview.intent
        ]);
        Self {
            target: preview.target.clone(),
            commands: preview.commands.clone(),
            diffs: preview.diffs.clone(),
            notes: preview.notes.clone(),
            undo: preview.undo.clone(),
            price: preview.price.clone(),
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
    /// What the items rest on.
    pub bound: Bound,
    /// Who has to agree.
    pub rule: Rule,
    /// When it was opened.
    pub opened: Timestamp,
    /// Digest over the items, what they rest on and the rule: what consent is bound to.
    pub digest: String,
    /// The gate asked before and what it showed has changed since.
    pub again: bool,
    /// What has changed since, a line each.
    pub changed: Vec<String>,
}

/// What consent rests on beside the change itself, as digests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The runbook, as it was frozen.
    pub runbook: String,
    /// The inputs of the run.
    pub inputs: String,
    /// The evidence that the node can see: outputs and variables.
    pub evidence: String,
    /// The policy of the site; empty if there is none.
    pub policy: String,
}

impl Gate {
    /// The digest of these items, of what they rest on, and of who has to agree.
    pub fn digest_of(items: &[GateItem], bound: &Bound, rule: &Rule) -> String {
        let items: Vec<&str> = items.iter().map(|item| item.digest.as_str()).collect();
        digest(json!([items, bound, rule]).to_string().as_bytes())
    }

    /// What an answer from elsewhere is about: this opening of the gate. What was answered at an earlier one, which may have
    /// closed since, does not count again.
    pub fn about(&self) -> String {
        format!("{} opened {}", self.digest, self.opened)
    }

    /// After this it takes no answer, and consent given at it is void.
    pub fn closes(&self) -> Option<Timestamp> {
        self.rule.closes(self.opened)
    }

    /// What differs from a gate that asked before, a line each.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut note = |differs: bool, what: &str| {
            if differs {
                lines.push(what.to_owned());
            }
        };
        note(self.bound.runbook != before.bound.runbook, "the runbook is another");
        note(self.bound.inputs != before.bound.inputs, "the inputs are others");
        note(self.bound.evidence != before.bound.evidence, "the evidence is another: it was read again");
        note(self.bound.policy != before.bound.policy, "the policy of the site was changed");
        note(self.rule != before.rule, "who has to agree was changed");
        note(self.items.len() != before.items.len(), "the number of changes is another");
        for (now, then) in
            self.items.iter().zip(&before.items).filter(|(now, then)| now.digest != then.digest)
        {
            let parts = [
                (now.target != then.target, "its target"),
                (now.commands != then.commands, "its commands"),
                (now.diffs != then.diffs, "its edits"),
                (now.notes != then.notes, "what there is to know"),
                (now.undo != then.undo, "how it is taken back"),
                (now.price.bound() != then.price.bound(), "who and what it hits"),
            ];
            let mut parts: Vec<&str> =
                parts.into_iter().filter_map(|(differs, part)| differs.then_some(part)).collect();
            if parts.is_empty() {
                parts.push("what it is pinned to");
            }
            lines.push(format!("{}: {}", now.target, parts.join(", ")));
            let new = now.notes.iter().filter(|note| !then.notes.contains(note));
            lines.extend(new.map(|note| format!("now: {note}")));
        }
        lines
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
    /// Accounts that have answered this gate already; nobody is asked twice.
    pub answered: BTreeSet<String>,
    /// Accounts whose yes counts so far.
    pub agreed: BTreeSet<String>,
    /// Accounts that walk the run or have walked it.
    pub operators: BTreeSet<String>,
}

impl AskedOf {
    /// Whether an answer of this account is heard. Each is heard once; but who agreed may still say no, and whoever walks the
    /// run may always stop it.
    pub fn hears(&self, account: &str, yes: bool) -> bool {
        let takes_back = !yes && (self.agreed.contains(account) || self.operators.contains(account));
        takes_back || !self.answered.contains(account)
    }
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
    /// The account.
    pub by: String,
    /// How it answered, if not at the terminal: `--yes`, `from login2`.
    pub via: Option<String>,
    /// Their words.
    pub reason: Option<String>,
    /// A flag answered: nobody took time to look.
    pub at_once: bool,
}

/// The port to the people who consent and choose.
#[async_trait]
pub trait Operator: Send + Sync {
    /// Asks for consent to what the gate shows. It fails closed: no terminal, no answer, end of input are
    /// [`Answer::Nobody`].
    async fn consent(&self, at: &AskedOf, gate: &Gate) -> Answer<bool>;

    /// Asks for one of the question's outcomes.
    async fn choose(&self, at: &AskedOf, question: &Question) -> Answer<String>;

    /// Whether an account is a member of a group; `None` if that cannot be told.
    async fn is_member(&self, account: &str, group: &str) -> Option<bool>;
}
