//! From the entries of a journal to what a report says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use engine::journal::Record;
use engine::plan::{Node, PlanData};
use engine::run::{Entry, Gate as Shown, Mode, RunState, Started, Verdict};
use engine::step::{Price, Registry, StepError, Undone};
use jiff::Timestamp;

use super::gates;
use super::memory::memory;
use super::model::{
    Answer, Evidence, Gate, GateState, Memory, Moment, Operator, Question, Undoing, Unit, What,
};
use super::units::units;
use crate::terminal::who;

/// What was gathered so far.
pub(super) struct Gathered<'a> {
    plan: &'a PlanData,
    registry: &'a Registry,
    rehearsal: bool,
    nodes: HashMap<&'a str, &'a Node>,
    units: HashMap<String, BTreeMap<String, Unit>>,
    pub operators: Vec<Operator>,
    accounts: BTreeSet<String>,
    pub timeline: Vec<Moment>,
    pub evidence: Vec<Evidence>,
    pub memory: Vec<Memory>,
    pub gates: Vec<Gate>,
    shown: Vec<&'a Shown>,
    pub questions: Vec<Question>,
    pub undone: Vec<Undoing>,
    pub path: Vec<String>,
    /// The node of each visit, and the visit whose change it takes back.
    visits: HashMap<u64, (String, Option<u64>)>,
    /// Gates of visits whose change was begun.
    begun: BTreeMap<u64, usize>,
    /// Seconds that people were waited for since the last moment.
    waited: f64,
    last: Timestamp,
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    // A clock that was set back took no time away.
    to.duration_since(from).as_secs_f64().max(0.0)
}

impl<'a> Gathered<'a> {
    /// Of a run of which only the first entry was looked at.
    pub(super) fn new(started: &'a Started, at: Timestamp, registry: &'a Registry) -> Self {
        let plan = &*started.plan;
        let mut gathered = Self {
            plan,
            registry,
            rehearsal: started.mode != Mode::Live,
            nodes: plan.nodes.iter().map(|node| (node.id.as_str(), node)).collect(),
            units: HashMap::new(),
            operators: Vec::new(),
            accounts: BTreeSet::new(),
            timeline: Vec::new(),
            evidence: Vec::new(),
            memory: Vec::new(),
            gates: Vec::new(),
            shown: Vec::new(),
            questions: Vec::new(),
            undone: Vec::new(),
            path: Vec::new(),
            visits: HashMap::new(),
            begun: BTreeMap::new(),
            waited: 0.0,
            last: at,
        };
        gathered.walks(&started.operator, &started.host);
        gathered
    }

    fn walks(&mut self, account: &str, host: &str) {
        let operator = Operator { account: account.to_owned(), host: host.to_owned() };
        if !self.operators.contains(&operator) {
            self.operators.push(operator);
        }
        self.accounts.insert(account.to_owned());
    }

    fn title(&self, node: &str) -> String {
        self.nodes.get(node).map_or_else(|| node.to_owned(), |node| node.title.clone())
    }

    fn flow(&self, node: &str) -> Option<String> {
        self.nodes.get(node).and_then(|node| node.flow.clone())
    }

    fn kind(&self, node: &str) -> Option<String> {
        self.nodes.get(node).and_then(|node| node.step()).map(|step| step.kind.clone())
    }

    fn node_of(&self, visit: u64) -> String {
        self.visits.get(&visit).map(|(node, _)| node.clone()).unwrap_or_default()
    }

    fn enter(&mut self, visit: u64, node: &str) {
        if self.visits.contains_key(&visit) {
            return;
        }
        self.visits.insert(visit, (node.to_owned(), None));
        self.path.push(node.to_owned());
    }

    fn moment(&mut self, at: Timestamp, what: What, title: String) -> &mut Moment {
        let (seconds, waited_seconds) = (seconds(self.last, at), std::mem::take(&mut self.waited));
        self.last = at;
        self.timeline.push(Moment {
            at: at.to_string(),
            seconds,
            waited_seconds,
            what,
            visit: None,
            node: None,
            flow: None,
            title,
            step: None,
            outcome: None,
            changed: false,
            by: None,
            summary: Vec::new(),
        });
        let last = self.timeline.len() - 1;
        &mut self.timeline[last]
    }

    fn visited(&mut self, at: Timestamp, what: What, visit: u64, node: &str, outcome: &str) -> &mut Moment {
        let (flow, step) = (self.flow(node), self.kind(node));
        let title = self.title(node);
        let moment = self.moment(at, what, title);
        moment.visit = Some(visit);
        moment.node = Some(node.to_owned());
        (moment.flow, moment.step, moment.outcome) = (flow, step, Some(outcome.to_owned()));
        moment
    }

    /// What came of a change that was begun in this visit.
    fn effect(&mut self, visit: u64, effect: &str) {
        if let Some(gate) = self.begun.get(&visit).and_then(|at| self.gates.get_mut(*at)) {
            gate.effect = Some(effect.to_owned());
        }
    }

    fn broke(moment: &mut Moment, error: &StepError) {
        moment.summary.push(error.message.clone());
        moment.summary.extend(error.help.iter().map(|help| format!("hint: {help}")));
    }

    /// Takes an entry in.
    pub(super) fn note(&mut self, record: &'a Record) {
        let at = record.at;
        match &record.entry {
            Entry::Started(_) => {}
            Entry::GateOpened { visit, node, gate } => self.opened(*visit, node, gate),
            Entry::GateAnswered { approved, by, via, reason, refused, .. } => {
                let Some(gate) = self.gates.last_mut() else { return };
                let opened = self.shown.last().map_or(at, |shown| shown.opened);
                gate.answers.push(Answer {
                    at: at.to_string(),
                    by: by.clone(),
                    via: via.clone(),
                    approved: *approved,
                    reason: reason.clone(),
                    refused: refused.clone(),
                    seconds: seconds(opened, at),
                });
                self.waited += seconds(self.last.max(opened), at);
            }
            Entry::Intended { visit, node, .. } => {
                self.enter(*visit, node);
                if let Some(last) =
                    self.gates.len().checked_sub(1).filter(|at| self.gates[*at].visit == *visit)
                {
                    self.begun.insert(*visit, last);
                    self.effect(*visit, "in doubt");
                }
            }
            Entry::Confirmed { visit, verdict, by, .. } => {
                let node = self.node_of(*visit);
                let word = match verdict {
                    Verdict::Happened => "it had happened",
                    Verdict::DidNot => "it did not happen",
                };
                let moment = self.visited(at, What::Confirmed, *visit, &node, word);
                moment.by = Some(by.clone());
                let effect = if *verdict == Verdict::DidNot { "did not happen" } else { "had happened" };
                self.effect(*visit, effect);
            }
            Entry::ItemDone { .. } => {}
            Entry::Asked { visit, node, question, .. } => {
                self.enter(*visit, node);
                let choices = question.choices.iter();
                self.questions.push(Question {
                    visit: *visit,
                    node: node.clone(),
                    title: self.title(node),
                    prompt: question.prompt.clone(),
                    details: question.details.clone(),
                    choices: choices.map(|choice| (choice.outcome.clone(), choice.label.clone())).collect(),
                    asked: at.to_string(),
                    chosen: None,
                    by: None,
                    seconds: None,
                });
            }
            Entry::Finished { visit, node, outcome, output, summary, changed, by, .. } => {
                self.enter(*visit, node);
                if by.is_some() {
                    self.chosen(*visit, outcome, by.as_deref(), at);
                }
                let moment = self.visited(at, What::Visit, *visit, node, outcome);
                (moment.changed, moment.by, moment.summary) = (*changed, by.clone(), summary.clone());
                self.effect(*visit, outcome);
                if !changed && by.is_none() {
                    self.found(*visit, node, outcome, output);
                }
            }
            Entry::Entered { visit, node, .. } => self.enter(*visit, node),
            Entry::Failed { visit, node, error } => {
                self.enter(*visit, node);
                Self::broke(self.visited(at, What::Visit, *visit, node, "broke"), error);
                self.effect(*visit, "broke");
            }
            Entry::Declined { visit, node } => {
                self.enter(*visit, node);
                self.visited(at, What::Visit, *visit, node, "declined");
            }
            Entry::RollbackBegan { operator, host, .. } => {
                self.walks(operator, host);
                let moment = self.moment(at, What::Rollback, "Taking back what was changed".to_owned());
                moment.by = Some(format!("{operator} on {host}"));
            }
            Entry::UndoBegan { visit, node, of, .. } => {
                self.visits.insert(*visit, (node.clone(), Some(*of)));
            }
            Entry::UndoIntended { visit, .. } => {
                if let Some(last) =
                    self.gates.len().checked_sub(1).filter(|at| self.gates[*at].visit == *visit)
                {
                    self.begun.insert(*visit, last);
                    self.effect(*visit, "in doubt");
                }
            }
            Entry::Undone { visit, result, .. } => self.taken_back(at, *visit, result),
            Entry::RolledBack { .. } => {
                self.moment(at, What::Ended, "Everything that was to be taken back is".to_owned()).outcome =
                    Some("rolled_back".to_owned());
            }
            Entry::Stopped { why } => {
                self.moment(at, What::Stopped, "The process stopped".to_owned()).summary = vec![why.clone()];
            }
            Entry::TookOver { target, from, by, .. } => {
                let moment = self.moment(at, What::TookOver, format!("{target} was taken over"));
                moment.by = by.clone();
                moment.summary = vec![format!("from run {} ({})", from.run, from.holder())];
            }
            Entry::Resumed { operator, host } => {
                self.walks(operator, host);
                let moment = self.moment(at, What::Resumed, "Taken up again".to_owned());
                moment.by = Some(format!("{operator} on {host}"));
            }
            Entry::Ended { end, node, message } => {
                self.path.push(node.clone());
                let title = self.title(node);
                let moment = self.moment(at, What::Ended, title);
                moment.node = Some(node.clone());
                moment.outcome = Some(end.word().to_owned());
                moment.summary = message.iter().cloned().collect();
            }
        }
    }

    fn opened(&mut self, visit: u64, node: &str, shown: &'a Shown) {
        let undoes = match self.visits.get(&visit) {
            Some((_, undoes)) => *undoes,
            None => {
                self.enter(visit, node);
                None
            }
        };
        self.gates.push(Gate {
            visit,
            node: node.to_owned(),
            flow: self.flow(node),
            title: self.title(node),
            step: shown.kind.clone(),
            undoes,
            prompt: shown.prompt.clone(),
            opened: shown.opened.to_string(),
            closes: shown.closes().map(|at| at.to_string()),
            needs: who(&shown.rule, &self.accounts),
            again: shown.again,
            changed: shown.changed.clone(),
            items: shown.items.iter().map(gates::item).collect(),
            digest: shown.digest.clone(),
            answers: Vec::new(),
            state: GateState::Open,
            effect: None,
        });
        self.shown.push(shown);
    }

    fn chosen(&mut self, visit: u64, outcome: &str, by: Option<&str>, at: Timestamp) {
        let Some(question) = self.questions.iter_mut().rev().find(|question| question.visit == visit) else {
            return;
        };
        question.chosen = Some(outcome.to_owned());
        question.by = by.map(str::to_owned);
        let taken = question.asked.parse().map_or(0.0, |asked| seconds(asked, at));
        question.seconds = Some(taken);
        self.waited += taken.min(seconds(self.last, at));
    }

    /// What a read yielded, unless that is no more than its outcome.
    fn found(&mut self, visit: u64, node: &str, outcome: &str, output: &serde_json::Value) {
        let Some(step) = self.kind(node) else { return };
        self.memory.extend(memory(visit, &step, output));
        let more = match output {
            serde_json::Value::Object(fields) => {
                fields.values().any(|value| !value.is_null() && value != outcome)
            }
            _ => false,
        };
        if !more {
            return;
        }
        if !self.units.contains_key(&step) {
            let found = self.registry.get(&step).map(|step| units(&step.spec().output));
            self.units.insert(step.clone(), found.unwrap_or_default());
        }
        self.evidence.push(Evidence {
            visit,
            node: node.to_owned(),
            title: self.title(node),
            outcome: outcome.to_owned(),
            output: output.clone(),
            units: self.units.get(&step).cloned().unwrap_or_default(),
            step,
        });
    }

    fn taken_back(&mut self, at: Timestamp, visit: u64, result: &Result<Undone, StepError>) {
        let node = self.node_of(visit);
        let (word, text) = match result {
            Ok(Undone::Restored(text)) => ("taken back", text.clone()),
            Ok(Undone::NothingToDo(text)) => ("nothing to take back", text.clone()),
            Ok(Undone::Left(by)) => ("left as it is", format!("by {by}")),
            Ok(Undone::Cannot(text)) => ("not taken back", text.clone()),
            Err(error) => ("not taken back", error.message.clone()),
        };
        let moment = self.visited(at, What::Undo, visit, &node, word);
        moment.summary = vec![text.clone()];
        moment.changed = matches!(result, Ok(Undone::Restored(_)));
        let title = self.title(&node);
        // The gate before it asked for just this.
        if let Some(undo) = self.gates.last().filter(|gate| gate.undoes == Some(visit)).map(|gate| gate.visit)
        {
            self.effect(undo, word);
        }
        let undoing = Undoing { at: at.to_string(), visit, node, title, result: word.to_owned(), text };
        self.undone.push(undoing);
    }

    /// Settles what only the end tells: what came of gates, and the visit that is not over.
    pub(super) fn close(&mut self, state: &RunState, at: Timestamp) {
        for index in 0..self.gates.len() {
            let visit = self.gates[index].visit;
            let last = !self.gates[index + 1..].iter().any(|gate| gate.visit == visit);
            self.gates[index].state =
                gates::state(&self.gates[index], self.shown[index], last, self.rehearsal);
        }
        let Some((visit, current)) = state.current() else { return };
        let over =
            self.timeline.iter().any(|moment| moment.visit == Some(visit) && moment.what == What::Visit);
        if !over && current.undoing.is_none() {
            let node = current.node.clone();
            let moment = self.visited(at, What::Visit, visit, &node, "");
            moment.outcome = None;
        }
    }

    /// What all changes cost that were agreed to and begun.
    pub(super) fn cost(&self) -> Price {
        let begun = self.gates.iter().zip(&self.shown).filter(|(gate, _)| {
            gate.undoes.is_none() && gate.effect.as_deref().is_some_and(|effect| effect != "did not happen")
        });
        Price::total(begun.flat_map(|(_, shown)| shown.items.iter().map(|item| &item.price)))
    }

    /// The plan.
    pub(super) fn plan(&self) -> &'a PlanData {
        self.plan
    }
}
