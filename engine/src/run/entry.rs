//! The entries of a journal: everything that a run needs to be continued, taken back, reported and replayed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Gate;
use crate::lock::Claim;
use crate::plan::{EndKind, PlanData};
use crate::redact::Seal;
use crate::step::{Question, StepError, Undone};
use crate::template::Standing;

/// Names a run for ever: the UTC second of its start and four random characters, `20261124-031244-k7f2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A fresh id. `entropy` is any random number.
    pub fn new(now: Timestamp, entropy: u64) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let tail: String =
            (0..4).map(|at| char::from(LETTERS[(entropy >> (at * 5) & 31) as usize])).collect();
        Self(format!("{}-{tail}", now.strftime("%Y%m%d-%H%M%S")))
    }

    /// The id in a text that a person gave.
    ///
    /// # Errors
    /// The text, if it is no run id: it becomes a directory name, so nothing else may pass.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = !text.is_empty()
            && text.len() <= 64
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if fits && !text.starts_with('-') { Ok(Self(text.to_owned())) } else { Err(text.to_owned()) }
    }

    /// When it began, as it says itself.
    pub fn began(&self) -> Option<Timestamp> {
        let text = self.0.get(..15)?;
        let at = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", text).ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(at).ok()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The world a run acts on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The real one.
    Live,
    /// A recording; nothing real is touched.
    Rehearsal {
        /// Its name.
        recording: String,
    },
}

/// The first entry: what is run, by whom, on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// Version of the program.
    pub program: String,
    /// The plan, frozen.
    pub plan: Arc<PlanData>,
    /// Inputs as given, defaults filled in.
    pub inputs: BTreeMap<String, Value>,
    /// How the secret ones among them are known again; they are not in the journal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Seal>,
    /// Account that started it.
    pub operator: String,
    /// Host it was started on.
    pub host: String,
    /// The world.
    pub mode: Mode,
    /// What it is about, for lists: `job 123456`.
    pub target: String,
    /// The file that the runbook was read from, by its absolute path: beside it are the steps that came with it. `None` for
    /// one that is in the program, and in a journal of an earlier program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// Whether an intended change happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It did.
    Happened,
    /// It did not.
    DidNot,
}

/// A change that is about to be made, with what confirming and undoing it need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// Step kind.
    pub kind: String,
    /// Its parameters.
    pub params: Value,
    /// Its own data: digests, original content, tokens.
    pub intent: Value,
    /// Step kind and parameters that take it back, if the author named them; else the step's own inverse.
    pub undo: Option<(String, Value)>,
    /// How it can be taken back, for people; `None` if it cannot.
    pub reversible: Option<String>,
}

/// One entry. A visit is numbered from 1; `item` is the position in a fan-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// The run began.
    Started(Box<Started>),
    /// A gate opened.
    GateOpened {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
        /// What is shown.
        gate: Box<Gate>,
    },
    /// A gate was answered.
    GateAnswered {
        /// The visit.
        visit: u64,
        /// Yes or no.
        approved: bool,
        /// Account that answered.
        by: String,
        /// How, if not at the terminal of the run: `--yes`, `from login2`.
        via: Option<String>,
        /// Its words.
        reason: Option<String>,
        /// Digest of what was shown.
        digest: String,
        /// Why the answer does not count, if it does not.
        refused: Option<String>,
    },
    /// A change is about to be made.
    Intended {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
        /// Item of a fan-out.
        item: Option<usize>,
        /// What is about to be done.
        act: Box<Act>,
    },
    /// A change that was in doubt was looked into.
    Confirmed {
        /// The visit.
        visit: u64,
        /// Item of a fan-out.
        item: Option<usize>,
        /// Whether it happened.
        verdict: Verdict,
        /// The probe, or the account that said so.
        by: String,
    },
    /// One item of a fan-out has its answer.
    ItemDone {
        /// The visit.
        visit: u64,
        /// Its position.
        item: usize,
        /// Its outcome and output, or how it broke.
        result: Result<(String, Value), StepError>,
        /// Whether something was changed.
        changed: bool,
    },
    /// A person was asked.
    Asked {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
        /// What.
        question: Question,
        /// The node's output, whatever the answer.
        output: Value,
    },
    /// A node has its outcome.
    Finished {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
        /// The outcome.
        outcome: String,
        /// The typed record.
        output: Value,
        /// A few lines for people.
        summary: Vec<String>,
        /// Variables it set.
        set: BTreeMap<String, Value>,
        /// How well the output stands; only a dry run predicts.
        standing: Standing,
        /// Whether something was changed.
        changed: bool,
        /// Account that chose the outcome, if a person did.
        by: Option<String>,
    },
    /// A scope was entered.
    Entered {
        /// The visit.
        visit: u64,
        /// The node that runs the runbook.
        node: String,
        /// Its inputs.
        inputs: BTreeMap<String, Value>,
        /// Its variables.
        vars: BTreeMap<String, Value>,
    },
    /// A step broke.
    Failed {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
        /// How.
        error: StepError,
    },
    /// The person said no and the node has no edge for that.
    Declined {
        /// The visit.
        visit: u64,
        /// The node.
        node: String,
    },
    /// Somebody asked for changes to be taken back.
    RollbackBegan {
        /// Account.
        operator: String,
        /// Host.
        host: String,
        /// The oldest visit whose changes are taken back; all if not given.
        to: Option<u64>,
    },
    /// A change is looked at to be taken back. That is a visit of its own, so that its gate is one like any other.
    UndoBegan {
        /// The new visit.
        visit: u64,
        /// The node.
        node: String,
        /// The visit whose change it is.
        of: u64,
        /// Item of a fan-out.
        item: Option<usize>,
    },
    /// A change is about to be taken back.
    UndoIntended {
        /// The visit that [`UndoBegan`](Self::UndoBegan) began.
        visit: u64,
        /// The step that the runbook names for it; `None`: the step's own inverse.
        act: Option<Box<Act>>,
    },
    /// A change was taken back, or not.
    Undone {
        /// The visit whose change it was.
        visit: u64,
        /// Item of a fan-out.
        item: Option<usize>,
        /// What came of it; the break, if that broke.
        result: Result<Undone, StepError>,
    },
    /// Everything that was to be taken back is.
    RolledBack {
        /// The oldest visit whose changes were taken back; all if not given.
        to: Option<u64>,
    },
    /// The process stopped at a safe point; the run can be resumed.
    Stopped {
        /// Why: `parked at a gate`, `interrupted`.
        why: String,
    },
    /// A lock was taken from a run that had not let go of it.
    TookOver {
        /// The target.
        target: String,
        /// The fencing number since.
        fence: u64,
        /// Who had it.
        from: Box<Claim>,
        /// Account that agreed to it; `None` if the process of that run was gone.
        by: Option<String>,
    },
    /// A process took the run up again.
    Resumed {
        /// Account.
        operator: String,
        /// Host.
        host: String,
    },
    /// The run ended.
    Ended {
        /// How.
        end: EndKind,
        /// The end node.
        node: String,
        /// What was found, what is left to do.
        message: Option<String>,
    },
}

impl Entry {
    /// Whether it must be on disk before anything else happens. What only says that something was read or asked need not
    /// be: after a crash it is read or asked again.
    pub fn durable(&self) -> bool {
        match self {
            Self::Started(_)
            | Self::Intended { .. }
            | Self::Confirmed { .. }
            | Self::RollbackBegan { .. }
            | Self::UndoIntended { .. }
            | Self::Undone { .. }
            | Self::RolledBack { .. }
            | Self::Declined { .. }
            | Self::Failed { .. }
            | Self::Stopped { .. }
            | Self::TookOver { .. }
            | Self::Resumed { .. }
            | Self::Ended { .. } => true,
            Self::Finished { changed, .. } | Self::ItemDone { changed, .. } => *changed,
            Self::GateOpened { .. }
            | Self::GateAnswered { .. }
            | Self::Asked { .. }
            | Self::UndoBegan { .. }
            | Self::Entered { .. } => false,
        }
    }

    /// Whether somebody elsewhere may be waiting to see it: written at once, if not synced.
    pub fn awaited(&self) -> bool {
        matches!(self, Self::GateOpened { .. } | Self::GateAnswered { .. } | Self::Asked { .. })
    }
}
