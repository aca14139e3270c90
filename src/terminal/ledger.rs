//! What a reader of events remembers of a run.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use engine::journal::Record;
use engine::run::{Entry, Mode, RunId};
use engine::step::Undone;
use jiff::Timestamp;

use super::card::Place;
use super::clean::line;

/// A gate or a question without an answer.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// What is asked.
    pub prompt: String,
    /// The flag that would answer it.
    pub flag: String,
    /// The command that answers it from elsewhere.
    pub command: String,
}

/// What a reader of events remembers of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The run.
    pub run: Option<RunId>,
    /// Nothing of it is real.
    pub rehearsal: bool,
    /// Every change that was made and not taken back, oldest first.
    pub changes: Vec<(u64, String)>,
    /// What waits for an answer.
    pub waiting: Option<Waiting>,
    /// How many have to agree at the gate that was opened last.
    pub by: u32,
    agreed: BTreeSet<String>,
    operators: BTreeSet<String>,
    places: HashMap<String, Place>,
    visits: HashMap<u64, String>,
    /// Visits that announced a change of which nothing is known yet.
    doubtful: BTreeSet<u64>,
    last: Option<Timestamp>,
}

impl Ledger {
    /// What is known of a node.
    pub(crate) fn place(&self, node: &str) -> Place {
        let known = self.places.get(node).cloned();
        let mut place = known.unwrap_or_else(|| Place { title: node.to_owned(), ..Place::default() });
        place.operators.clone_from(&self.operators);
        place.agreed.clone_from(&self.agreed);
        place
    }

    /// How many agreed at the gate that was opened last.
    pub(crate) fn agreed(&self) -> usize {
        self.agreed.len()
    }

    /// The node of a visit.
    pub(crate) fn node_of(&self, visit: u64) -> &str {
        self.visits.get(&visit).map_or("", String::as_str)
    }

    /// How many runbooks deep a node lies.
    pub(crate) fn depth(node: &str) -> usize {
        node.matches('/').count()
    }

    /// What a node's box says at this visit.
    pub(crate) fn began(&mut self, visit: u64, node: &str, title: &str) {
        self.visits.insert(visit, node.to_owned());
        self.places.entry(node.to_owned()).or_default().title = title.to_owned();
    }

    fn wait(&mut self, prompt: &str, flag: String, verb: &str) {
        let run = self.run.as_ref().map(ToString::to_string).unwrap_or_default();
        let command = format!("runbook {verb} {run}");
        self.waiting = Some(Waiting { prompt: line(prompt), flag, command });
    }

    /// Takes an entry in and says how long after the one before it was written.
    pub(crate) fn note(&mut self, record: &Record) -> Option<Duration> {
        let took = self.last.and_then(|last| Duration::try_from(record.at.duration_since(last)).ok());
        self.last = Some(record.at);
        match &record.entry {
            Entry::Started(started) => {
                self.run = Some(started.run.clone());
                self.rehearsal = started.mode != Mode::Live;
                self.operators.insert(started.operator.clone());
                self.places =
                    started.plan.nodes.iter().map(|node| (node.id.clone(), Place::of(node))).collect();
            }
            Entry::GateOpened { visit, node, gate } => {
                self.visits.insert(*visit, node.clone());
                self.agreed.clear();
                self.by = gate.rule.by;
                self.wait(&gate.prompt, format!("--approve {node}"), "approve");
            }
            Entry::Asked { visit, node, question, .. } => {
                self.visits.insert(*visit, node.clone());
                let outcomes: Vec<String> =
                    question.choices.iter().map(|choice| line(&choice.outcome)).collect();
                let flag = format!("--answer {node}={}", outcomes.join("|"));
                self.wait(&question.prompt, flag, "answer");
            }
            Entry::GateAnswered { approved, by, refused, .. } => {
                if *approved && refused.is_none() {
                    self.agreed.insert(by.clone());
                }
                // As long as more have to agree, it waits on.
                if self.agreed() >= self.by as usize || !approved {
                    self.waiting = None;
                }
            }
            Entry::Resumed { operator, .. } => {
                self.operators.insert(operator.clone());
            }
            Entry::Intended { visit, node, .. } => {
                self.visits.insert(*visit, node.clone());
                self.doubtful.insert(*visit);
            }
            Entry::Finished { visit, node, outcome, changed, .. } => {
                self.visits.insert(*visit, node.clone());
                self.waiting = None;
                self.doubtful.remove(visit);
                if *changed {
                    self.changes.push((*visit, format!("{}: {outcome}", line(&self.place(node).title))));
                }
            }
            Entry::Failed { visit, node, .. } => {
                self.visits.insert(*visit, node.clone());
                if self.doubtful.remove(visit) {
                    let text = format!("{}: broke while it was being made", line(&self.place(node).title));
                    self.changes.push((*visit, text));
                }
            }
            Entry::Confirmed { visit, verdict: engine::run::Verdict::DidNot, .. } => {
                self.doubtful.remove(visit);
            }
            Entry::UndoBegan { visit, node, .. } => {
                self.visits.insert(*visit, node.clone());
            }
            Entry::Undone { visit, result: Ok(Undone::Restored(_) | Undone::NothingToDo(_)), .. } => {
                self.waiting = None;
                self.changes.retain(|(changed, _)| changed != visit);
            }
            Entry::Entered { visit, node, .. } | Entry::Declined { visit, node } => {
                self.visits.insert(*visit, node.clone());
            }
            Entry::Confirmed { .. }
            | Entry::ItemDone { .. }
            | Entry::Undone { .. }
            | Entry::RollbackBegan { .. }
            | Entry::UndoIntended { .. }
            | Entry::RolledBack { .. }
            | Entry::TookOver { .. }
            | Entry::Stopped { .. }
            | Entry::Ended { .. } => {}
        }
        took
    }
}
