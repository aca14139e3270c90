//! The state of a run: a pure fold over its entries, the same for a live run, a resumed one and a replay.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::{Act, Entry, Gate, Mode, Started, Undoing, Verdict};
use crate::plan::{Body, EndKind, Node, OnFailure, Plan, PlanError, mentions};
use crate::step::{Question, StepError, StepErrorKind, Undone};
use crate::template::{Binding, Names, Standing};

/// What a node yielded last.
#[derive(Debug, Clone)]
pub struct Output {
    /// The typed record.
    pub value: Arc<Value>,
    /// How well it stands.
    pub standing: Standing,
}

/// A change of a visit.
#[derive(Debug, Clone)]
pub struct Intended {
    /// What was to be done.
    pub act: Act,
    /// What is known of whether it happened: `None` while it is in doubt.
    pub verdict: Option<Verdict>,
    /// What came of taking it back.
    pub undone: Option<Result<Undone, StepError>>,
}

/// How far a visit is.
#[derive(Debug, Clone)]
pub enum Phase {
    /// It begins, or begins again: whatever was read so far is read anew.
    Fresh,
    /// A gate is open.
    Gate {
        /// What it shows.
        gate: Box<Gate>,
        /// Accounts whose yes counts.
        agreed: BTreeSet<String>,
        /// All accounts that answered.
        answered: BTreeSet<String>,
    },
    /// As many agreed to what was shown as have to.
    Approved(Box<Gate>),
    /// A change may have been made.
    Acting,
    /// A person was asked.
    Asked {
        /// What.
        question: Question,
        /// The node's output.
        output: Value,
    },
    /// The step broke.
    Failed(StepError),
    /// The person said no.
    Declined,
    /// It has its outcome.
    Finished(String),
}

/// One passage through one node.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The node.
    pub node: String,
    /// How far it is.
    pub phase: Phase,
    /// Its changes, by item.
    pub intended: BTreeMap<Option<usize>, Intended>,
    /// Items of a fan-out that have their answer.
    pub items: BTreeMap<usize, Result<(String, Value), StepError>>,
    /// The change that it takes back, if it is there for that.
    pub undoing: Option<Box<Undoing>>,
}

impl Visit {
    fn fresh(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            phase: Phase::Fresh,
            intended: BTreeMap::new(),
            items: BTreeMap::new(),
            undoing: None,
        }
    }

    /// Whether a change of it may or may not have been made.
    pub fn in_doubt(&self) -> bool {
        self.intended.values().any(|intended| intended.verdict.is_none())
    }
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// Before this node: its visit has not begun.
    Before(String),
    /// In the last visit of the trail.
    In,
    /// Held with its evidence; `resume` tries the last visit again.
    Held,
    /// Changes are being taken back.
    Unwinding,
    /// A change could not be taken back; those before it were not tried.
    Stuck,
    /// What was to be taken back is.
    RolledBack,
    /// Over.
    Ended {
        /// How.
        end: EndKind,
        /// The end node.
        node: String,
        /// What was found, what is left to do.
        message: Option<String>,
    },
}

/// A journal whose entries do not fit one another.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// It does not begin with a `started` entry.
    #[error("the journal does not begin with the start of a run")]
    NoStart,
    /// An entry that cannot follow what is before it.
    #[error("the journal has an entry that cannot follow: {0}")]
    Illegal(String),
    /// Its plan does not fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The state of a run.
#[derive(Debug, Clone)]
pub struct RunState {
    /// What was started.
    pub started: Arc<Started>,
    /// Time of the start, for templates.
    pub since: jiff::Timestamp,
    /// All visits, in order; visit `n` is at `n - 1`.
    pub trail: Vec<Visit>,
    /// Where it stands.
    pub position: Position,
    /// Why the last process stopped, if it stopped at a safe point and none has taken the run up since.
    pub stopped: Option<String>,
    /// Accounts that walked the run.
    pub operators: BTreeSet<String>,
    /// The oldest visit whose changes are taken back; all if not given.
    pub unwind_to: Option<u64>,
    outputs: HashMap<String, Output>,
    inputs: HashMap<String, BTreeMap<String, Value>>,
    vars: HashMap<String, BTreeMap<String, (Value, Standing)>>,
    visits: HashMap<String, u32>,
}

impl RunState {
    /// The state after the first entry.
    ///
    /// # Errors
    /// If that is not the start of a run.
    pub fn new(first: &Entry, at: jiff::Timestamp) -> Result<Self, StateError> {
        let Entry::Started(started) = first else { return Err(StateError::NoStart) };
        Ok(Self {
            since: at,
            trail: Vec::new(),
            position: Position::Before(started.plan.start.clone()),
            stopped: None,
            operators: BTreeSet::from([started.operator.clone()]),
            unwind_to: None,
            outputs: HashMap::new(),
            inputs: HashMap::from([(String::new(), started.inputs.clone())]),
            vars: HashMap::new(),
            visits: HashMap::new(),
            started: Arc::new(Started::clone(started)),
        })
    }

    /// The number of the visit that begins next.
    pub fn next_visit(&self) -> u64 {
        self.trail.len() as u64 + 1
    }

    /// The visit that is going on, and its number.
    pub fn current(&self) -> Option<(u64, &Visit)> {
        self.trail.last().map(|visit| (self.trail.len() as u64, visit))
    }

    /// How often a node was visited.
    pub fn visits(&self, node: &str) -> u32 {
        self.visits.get(node).copied().unwrap_or(0)
    }

    /// What a node yielded last, if any template may read it.
    pub fn output(&self, node: &str) -> Option<&Output> {
        self.outputs.get(node)
    }

    /// Whether the variables of the runbook itself still have to be set: they are evaluated once, at the start.
    pub fn needs_vars(&self) -> bool {
        !self.vars.contains_key("")
    }

    /// Sets the initial variables of a scope. Derived from the frozen plan and inputs, so not journaled for the top.
    pub fn set_vars(&mut self, scope: &str, vars: BTreeMap<String, Value>) {
        let known = vars.into_iter().map(|(name, value)| (name, (value, Standing::Known))).collect();
        self.vars.insert(scope.to_owned(), known);
    }

    /// The names that templates of a node see. Of the outputs only those are bound that it mentions: a run of 10,000
    /// nodes must not pay for all of them at each.
    pub fn names(&self, node: &Node) -> Names {
        let scope = &node.scope;
        let mut names = self.names_of(scope);
        for name in mentions(node) {
            let id = if scope.is_empty() { name.to_owned() } else { format!("{scope}/{name}") };
            if let Some(output) = self.outputs.get(&id) {
                names.bind(name, Binding { value: Arc::clone(&output.value), standing: output.standing });
            }
        }
        names
    }

    /// The names that a scope has besides outputs.
    pub fn names_of(&self, scope: &str) -> Names {
        let mut names = Names::default();
        let object = |entries: &mut dyn Iterator<Item = (&String, &Value)>| {
            Value::Object(entries.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        names.bind("inputs", Binding::known(object(&mut self.inputs.get(scope).into_iter().flatten())));
        let vars = || self.vars.get(scope).into_iter().flatten();
        // What cannot be known before a real run is `null` in the record: one open variable must not hide the others.
        let standing = vars().map(|(_, (_, standing))| *standing).max().unwrap_or(Standing::Known);
        let value = Arc::new(object(&mut vars().map(|(name, (value, _))| (name, value))));
        names.bind("vars", Binding { value, standing: standing.min(Standing::Predicted) });
        names.bind("run", Binding::known(self.about()));
        names
    }

    /// Forgets all that was found: every output and variable may be anything.
    pub(crate) fn forget(&mut self, plan: &Plan) {
        let open = || Output { value: Arc::new(Value::Null), standing: Standing::Open };
        self.outputs = plan.data().nodes.iter().map(|node| (node.id.clone(), open())).collect();
        for value in self.vars.values_mut().flat_map(BTreeMap::values_mut) {
            *value = (Value::Null, Standing::Open);
        }
    }

    /// A digest of everything that templates can see.
    pub(crate) fn seen_by_templates(&self, also: bool) -> String {
        let mut outputs: Vec<String> = self
            .outputs
            .iter()
            .map(|(id, output)| format!("{id} {:?} {}", output.standing, output.value))
            .collect();
        outputs.sort();
        let ordered: BTreeMap<_, _> = self.vars.iter().collect();
        let inputs: BTreeMap<_, _> = self.inputs.iter().collect();
        crate::site::digest(format!("{outputs:?} {ordered:?} {inputs:?} {also}").as_bytes())
    }

    fn about(&self) -> Value {
        serde_json::json!({
            "id": self.started.run.as_str(),
            "runbook": self.started.plan.runbook,
            "operator": self.started.operator,
            "started": self.since.to_string(),
        })
    }

    /// Applies one entry.
    ///
    /// # Errors
    /// If it cannot follow what is before it: such a journal is not continued.
    pub fn apply(&mut self, plan: &Plan, entry: &Entry) -> Result<(), StateError> {
        let illegal = |what: &str| StateError::Illegal(what.to_owned());
        match entry {
            Entry::Started(_) => return Err(illegal("a second start")),
            Entry::GateOpened { visit, node, gate } => {
                let gate = gate.clone();
                let (agreed, answered) = (BTreeSet::new(), BTreeSet::new());
                self.visit(*visit, node)?.phase = Phase::Gate { gate, agreed, answered };
            }
            Entry::GateAnswered { visit, approved, by, refused, .. } => {
                self.answer(*visit, by, *approved, refused.is_none())?;
            }
            Entry::Intended { visit, node, item, act } => {
                let visit = self.visit(*visit, node)?;
                let act = Act::clone(act);
                visit.intended.insert(*item, Intended { act, verdict: None, undone: None });
                visit.phase = Phase::Acting;
            }
            Entry::Confirmed { visit, item, verdict, .. } => {
                let visit = self.known(*visit)?;
                let intended =
                    visit.intended.get_mut(item).ok_or_else(|| illegal("a verdict without an intent"))?;
                intended.verdict = Some(verdict.clone());
                if !visit.in_doubt() && matches!(visit.phase, Phase::Acting) {
                    visit.phase = Phase::Fresh;
                }
            }
            Entry::ItemDone { visit, item, result, .. } => {
                let visit = self.known(*visit)?;
                settle(visit, Some(*item), result.is_ok());
                visit.items.insert(*item, result.clone());
            }
            Entry::Asked { visit, node, question, output } => {
                let phase = Phase::Asked { question: question.clone(), output: output.clone() };
                self.visit(*visit, node)?.phase = phase;
            }
            Entry::Finished { visit, node, outcome, output, set, standing, .. } => {
                self.finish(plan, *visit, node, outcome, output, set, *standing)?;
            }
            Entry::Entered { visit, node, inputs, vars } => {
                let Some(Body::Enter(enter)) = plan.node(node).map(|node| &node.body) else {
                    return Err(illegal("entering a node that runs no runbook"));
                };
                self.visit(*visit, node)?.phase = Phase::Fresh;
                // A second walk of the same runbook starts afresh.
                self.outputs.retain(|id, _| plan.node(id).is_none_or(|node| node.scope != enter.scope));
                self.inputs.insert(enter.scope.clone(), inputs.clone());
                self.set_vars(&enter.scope, vars.clone());
                self.position = Position::Before(enter.start.clone());
            }
            Entry::Failed { visit, node, error } => self.fail(plan, *visit, node, error)?,
            Entry::Declined { visit, node } => {
                let visit = self.visit(*visit, node)?;
                visit.phase = Phase::Declined;
                if visit.undoing.is_some() {
                    return Ok(());
                }
                self.position = match plan.node(node).and_then(|node| node.step()?.declined.clone()) {
                    Some(to) => Position::Before(to),
                    None => Position::Held,
                };
            }
            Entry::Undone { visit, item, result } => {
                let visit = self.known(*visit)?;
                let intended =
                    visit.intended.get_mut(item).ok_or_else(|| illegal("an undo without an intent"))?;
                intended.undone = Some(result.clone());
                if !matches!(result, Ok(Undone::Restored(_) | Undone::NothingToDo(_) | Undone::Left(_))) {
                    self.position = Position::Stuck;
                }
                if let Some(last) = self.trail.last_mut().filter(|last| last.undoing.is_some()) {
                    last.phase = Phase::Finished("undone".to_owned());
                }
            }
            Entry::RollbackBegan { operator, to, .. } => {
                self.operators.insert(operator.clone());
                self.stopped = None;
                self.unwind_to = *to;
                self.unwind();
            }
            Entry::UndoBegan { visit, node, of, item } => {
                if *visit != self.next_visit() {
                    return Err(illegal("taking back in a visit that is there already"));
                }
                let undoing = Undoing { of: *of, item: *item, begun: false, act: None };
                self.trail.push(Visit { undoing: Some(Box::new(undoing)), ..Visit::fresh(node) });
            }
            Entry::UndoIntended { visit, act } => {
                let visit = self.known(*visit)?;
                let undoing =
                    visit.undoing.as_mut().ok_or_else(|| illegal("taking back in another visit"))?;
                (undoing.begun, undoing.act) = (true, act.as_deref().cloned());
                visit.phase = Phase::Acting;
            }
            Entry::RolledBack { .. } => self.position = Position::RolledBack,
            Entry::TookOver { .. } => {}
            Entry::Stopped { why } => self.stopped = Some(why.clone()),
            Entry::Resumed { operator, .. } => {
                self.operators.insert(operator.clone());
                self.stopped = None;
                self.take_up();
            }
            Entry::Ended { end, node, message } => {
                self.position = Position::Ended { end: *end, node: node.clone(), message: message.clone() };
            }
        }
        Ok(())
    }

    /// Counts an answer at a gate.
    fn answer(&mut self, visit: u64, by: &str, approved: bool, counts: bool) -> Result<(), StateError> {
        // In a rehearsal nothing real is touched: one word stands for everybody who would have to agree.
        let alone = matches!(self.started.mode, Mode::Rehearsal { .. });
        let visit = self.known(visit)?;
        let Phase::Gate { gate, agreed, answered } = &mut visit.phase else {
            return Err(StateError::Illegal("an answer where no gate is open".to_owned()));
        };
        answered.insert(by.to_owned());
        if !counts {
            return Ok(());
        }
        if !approved {
            visit.phase = Phase::Declined;
            return Ok(());
        }
        agreed.insert(by.to_owned());
        if alone || agreed.len() >= gate.rule.by as usize {
            visit.phase = Phase::Approved(gate.clone());
        }
        Ok(())
    }

    /// The visit of this number; begins it if it is the next one.
    fn visit(&mut self, number: u64, node: &str) -> Result<&mut Visit, StateError> {
        if number == self.next_visit() {
            *self.visits.entry(node.to_owned()).or_insert(0) += 1;
            self.trail.push(Visit::fresh(node));
            self.position = Position::In;
        }
        self.known(number)
    }

    fn known(&mut self, number: u64) -> Result<&mut Visit, StateError> {
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        at.and_then(|at| self.trail.get_mut(at))
            .ok_or_else(|| StateError::Illegal(format!("visit {number} is unknown")))
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one entry")]
    fn finish(
        &mut self,
        plan: &Plan,
        number: u64,
        node: &str,
        outcome: &str,
        output: &Value,
        set: &BTreeMap<String, Value>,
        standing: Standing,
    ) -> Result<(), StateError> {
        let visit = self.visit(number, node)?;
        settle(visit, None, true);
        visit.phase = Phase::Finished(outcome.to_owned());
        let found =
            plan.node(node).ok_or_else(|| StateError::Illegal(format!("node {node} is not in the plan")))?;
        if plan.is_read(found) {
            // The word that the node ended with stands beside what its step yields.
            let mut value = output.clone();
            if let Value::Object(record) = &mut value {
                record.entry("outcome").or_insert_with(|| Value::String(outcome.to_owned()));
            }
            self.outputs.insert(node.to_owned(), Output { value: Arc::new(value), standing });
        }
        let vars = self.vars.entry(found.scope.clone()).or_default();
        for (name, value) in set {
            vars.insert(name.clone(), (value.clone(), standing));
        }
        let next = match &found.body {
            Body::Step(step) => step.next.target(outcome),
            Body::Enter(enter) => enter.next.target(outcome),
            Body::End { .. } => None,
        };
        let missing = || StateError::Illegal(format!("node {node} has no edge for the outcome {outcome}"));
        self.position = Position::Before(next.ok_or_else(missing)?.to_owned());
        Ok(())
    }

    fn fail(&mut self, plan: &Plan, number: u64, node: &str, error: &StepError) -> Result<(), StateError> {
        let visit = self.visit(number, node)?;
        visit.phase = Phase::Failed(error.clone());
        let in_doubt = visit.in_doubt();
        if error.kind == StepErrorKind::NotRecorded {
            // What a recording lacks happened in no world: no edge leads on from it.
            self.position = Position::Held;
            return Ok(());
        }
        self.position = match plan.node(node).and_then(|node| node.step()).map(|step| &step.on_failure) {
            // No way leads past a change that may or may not have been made.
            Some(OnFailure::Goto(to)) if !in_doubt => Position::Before(to.clone()),
            Some(OnFailure::Goto(_)) => Position::Held,
            Some(OnFailure::Unwind) => Position::Unwinding,
            Some(OnFailure::Stop) | None => Position::Held,
        };
        Ok(())
    }

    /// A held or interrupted visit begins again; a change that may have been made is looked into first.
    fn take_up(&mut self) {
        match self.position {
            Position::Stuck => self.unwind(),
            Position::RolledBack | Position::Ended { .. } => return,
            Position::Before(_) | Position::In | Position::Held | Position::Unwinding => {}
        }
        let Some(visit) = self.trail.last_mut() else { return };
        // An item that broke is tried again; one that has its answer keeps it.
        visit.items.retain(|_, result| result.is_ok());
        match visit.phase {
            // An open gate stands as it is, so that who agreed meanwhile need not do so again.
            Phase::Gate { .. } if !visit.in_doubt() => {}
            Phase::Failed(_) | Phase::Declined | Phase::Gate { .. } | Phase::Fresh => {
                visit.phase = if visit.in_doubt() { Phase::Acting } else { Phase::Fresh };
                if self.position == Position::Held {
                    self.position = Position::In;
                }
            }
            Phase::Approved(_) | Phase::Acting | Phase::Asked { .. } | Phase::Finished(_) => {}
        }
    }
}

/// An answer of the step settles what was in doubt about its change.
fn settle(visit: &mut Visit, item: Option<usize>, answered: bool) {
    if let Some(intended) = visit.intended.get_mut(&item)
        && answered
        && intended.verdict.is_none()
    {
        intended.verdict = Some(Verdict::Happened);
    }
}
