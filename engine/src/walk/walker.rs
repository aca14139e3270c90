//! The loop itself. Resuming is the same loop on a state that was folded from a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::event::Event;
use crate::journal::{Journal, JournalError, Record};
use crate::lock::{Lease, LockError, Locks};
use crate::plan::{Body, Node, Plan, PlanError, StepNode};
use crate::policy::Policy;
use crate::redact::{Redactor, guarded};
use crate::run::{
    AskedOf, Decision, Entry, Mode, Operator, Phase, RunId, RunState, Started, StateError, Visit, decide,
};
use crate::site::Site;
use crate::step::{Progress, Registry, StepCx, StepError};
use crate::template::{TemplateError, text};

use super::ending::Ending;

/// What a walk needs around it.
#[derive(Clone)]
pub struct World {
    /// The step kinds.
    pub registry: Registry,
    /// The outside world.
    pub site: Arc<dyn Site>,
    /// The people.
    pub operator: Arc<dyn Operator>,
    /// What the site demands of every change.
    pub policy: Arc<dyn Policy>,
    /// Which run acts on what.
    pub locks: Arc<dyn Locks>,
    /// How much changes may use up.
    pub budget: Arc<dyn Budget>,
    /// What nobody may see: neither the journal nor the listener nor the people; steps get the real values.
    pub redactor: Redactor,
    /// Who is told what happens.
    pub listener: Arc<dyn Fn(&Event) + Send + Sync>,
    /// Set when the person wants to stop: a read is given up, a change is brought to its end, then the walk stops.
    pub cancel: CancellationToken,
}

/// Why a walk cannot go on at all.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The journal cannot be written: nothing more is done.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The locks cannot be taken or looked at: nothing more is done.
    #[error(transparent)]
    Locks(#[from] LockError),
    /// The journal does not add up.
    #[error(transparent)]
    State(#[from] StateError),
    /// The plan does not fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An expression outside any node (initial variables) cannot be evaluated.
    #[error("cannot evaluate the initial variables: {0}")]
    Vars(#[from] TemplateError),
    /// The plan uses a step kind that this program does not have.
    #[error("the runbook uses the step {0}, which this program does not have")]
    NoStep(String),
}

/// Whether the loop goes on.
pub(super) enum Flow {
    On,
    Rest(Ending),
}

/// The node and its step; both are in the plan, which was checked when the walk began.
pub(super) fn step_node<'p>(plan: &'p Plan, id: &str) -> Result<(&'p Node, &'p StepNode), WalkError> {
    let missing = || StateError::Illegal(format!("node {id} binds to no step"));
    let node = plan.node(id).ok_or_else(missing)?;
    Ok((node, node.step().ok_or_else(missing)?))
}

/// The place in the journal before a record; nothing if the journal has no chain.
fn before(record: &Record) -> Option<String> {
    (!record.prev.is_empty()).then(|| sealed(record.seq.saturating_sub(1), &record.prev))
}

fn sealed(seq: u64, hash: &str) -> String {
    format!("{seq}-{}", hash.get(..16).unwrap_or(hash))
}

/// A walk of one plan.
pub struct Walker<J> {
    pub(super) plan: Arc<Plan>,
    pub(super) state: RunState,
    pub(super) journal: J,
    pub(super) world: World,
    /// Account that walks.
    pub(super) operator: String,
    /// Host on which it walks.
    pub(super) host: String,
    /// Held until the walker is dropped, by target.
    pub(super) leases: BTreeMap<String, Arc<dyn Lease>>,
    /// The visit that began last, and where the journal stood then.
    seal: (u64, Option<String>),
    /// What steps answered that is not in the journal yet.
    pub(super) unwritten: Vec<String>,
    /// The run from which locks may be taken over.
    pub(super) over: Option<RunId>,
}

impl<J: Journal> Walker<J> {
    /// Begins a run: writes the first entry.
    ///
    /// # Errors
    /// If the journal cannot be written, or the plan needs a step that is not there.
    pub fn start(started: Started, mut journal: J, world: World) -> Result<Self, WalkError> {
        let entry = Entry::Started(Box::new(started));
        let kept = world.redactor.entry(&entry).unwrap_or_else(|| entry.clone());
        let record = journal.append(world.site.now(), kept)?;
        let walker = Self::over(journal, world, &[Record { entry, ..record.clone() }])?;
        (walker.world.listener)(&Event::Recorded(record));
        Ok(walker)
    }

    /// Takes up a run from its journal.
    ///
    /// # Errors
    /// If the entries do not add up, or the plan needs a step that is not there.
    pub fn resume(
        journal: J,
        records: &[Record],
        operator: String,
        host: String,
        world: World,
    ) -> Result<Self, WalkError> {
        let records = world.redactor.restored(records);
        let mut walker = Self::over(journal, world, &records)?;
        (walker.operator, walker.host) = (operator.clone(), host.clone());
        walker.append(Entry::Resumed { operator, host })?;
        Ok(walker)
    }

    pub(super) fn over(journal: J, world: World, records: &[Record]) -> Result<Self, WalkError> {
        let first = records.first().ok_or(StateError::NoStart)?;
        let mut state = RunState::new(&first.entry, first.at)?;
        let Entry::Started(started) = &first.entry else { return Err(StateError::NoStart.into()) };
        let plan = Arc::new(Plan::new(Arc::clone(&started.plan))?);
        for node in &plan.data().nodes {
            if let Body::Step(step) = &node.body
                && world.registry.get(&step.kind).is_none()
            {
                return Err(WalkError::NoStep(step.kind.clone()));
            }
        }
        if let Some(scope) = plan.data().scopes.get("") {
            let vars = super::scope::initial_vars(scope, &state)?;
            state.set_vars("", vars);
        }
        let mut seal = (0, None);
        for record in &records[1..] {
            let next = state.next_visit();
            state.apply(&plan, &record.entry)?;
            if state.next_visit() > next {
                seal = (next, before(record));
            }
        }
        let (operator, host) = (started.operator.clone(), started.host.clone());
        let world = guarded(world);
        Ok(Self {
            plan,
            state,
            journal,
            world,
            operator,
            host,
            leases: BTreeMap::new(),
            seal,
            unwritten: Vec::new(),
            over: None,
        })
    }

    /// The state so far.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// What is known of the last changes but not in the journal, because it could not be written; a line each.
    pub fn unwritten(&self) -> Vec<String> {
        let mut lines = self.unwritten.clone();
        let begun = |visit: &Visit| {
            let doubt = visit.intended.values().filter(|intended| intended.verdict.is_none());
            let undo = visit.undoing.as_ref().filter(|undoing| undoing.begun);
            let undo = undo.filter(|_| matches!(visit.phase, Phase::Acting)).map(|_| "taking a change back");
            doubt.map(|intended| intended.act.kind.clone()).chain(undo.map(str::to_owned)).collect::<Vec<_>>()
        };
        if let Some((_, visit)) = self.state.current().filter(|_| lines.is_empty()) {
            lines.extend(
                begun(visit).into_iter().map(|what| {
                    format!("{what} at `{}` was begun; what came of it was not heard", visit.node)
                }),
            );
        }
        lines
    }

    /// The journal, to let go of it.
    pub fn journal(&mut self) -> (&mut J, &RunState) {
        (&mut self.journal, &self.state)
    }

    /// Walks until the run ends or a person is needed.
    ///
    /// # Errors
    /// If the journal cannot be written; nothing is done that is not announced in it.
    pub async fn walk(&mut self) -> Result<Ending, WalkError> {
        let ending = self.rest_of_it().await?;
        Ok(self.world.redactor.ending(ending))
    }

    async fn rest_of_it(&mut self) -> Result<Ending, WalkError> {
        loop {
            if self.world.cancel.is_cancelled() {
                return self.rest("interrupted", Ending::Interrupted);
            }
            let flow = match decide(&self.plan, &self.state) {
                Decision::Visit { visit, node } => self.visit(visit, &node).await?,
                Decision::Confirm { visit, node } => self.confirm(visit, &node).await?,
                Decision::Ask { visit, node } => self.ask(visit, &node).await?,
                Decision::Enter { visit, node } => self.enter(visit, &node)?,
                Decision::Leave { end_node, end } => self.leave(&end_node, end)?,
                Decision::TooOften { visit, node, max } => {
                    let error = StepError::failed(format!(
                        "{node} was visited {max} times, as often as it may be"
                    ))
                    .help("look at what the earlier visits found, then start a new run or raise max_visits");
                    self.fail(visit, &node, error)?
                }
                Decision::BeginUndo { visit, of, item } => self.begin_undo(visit, of, item)?,
                Decision::Undo { visit } => self.undo(visit).await?,
                Decision::Unwound => {
                    self.append(Entry::RolledBack { to: self.state.unwind_to })?;
                    return Ok(Ending::of(&self.state));
                }
                Decision::End { node, end } => {
                    let message = self.end_message(&node);
                    self.append(Entry::Ended { end, node, message })?;
                    return Ok(Ending::of(&self.state));
                }
                Decision::Held | Decision::Over => return Ok(Ending::of(&self.state)),
            };
            if let Flow::Rest(ending) = flow {
                return Ok(ending);
            }
        }
    }

    /// Writes an entry, applies it and tells the listener.
    pub(super) fn append(&mut self, entry: Entry) -> Result<(), WalkError> {
        let next = self.state.next_visit();
        let record = match self.world.redactor.entry(&entry) {
            Some(kept) => {
                let record = self.journal.append(self.world.site.now(), kept)?;
                self.state.apply(&self.plan, &entry)?;
                record
            }
            None => {
                let record = self.journal.append(self.world.site.now(), entry)?;
                self.state.apply(&self.plan, &record.entry)?;
                record
            }
        };
        if self.state.next_visit() > next {
            self.seal = (next, before(&record));
        }
        if matches!(record.entry, Entry::Finished { .. } | Entry::Failed { .. } | Entry::Undone { .. }) {
            self.unwritten.clear();
        }
        (self.world.listener)(&Event::Recorded(record));
        Ok(())
    }

    /// Stops at a safe point.
    pub(super) fn rest(&mut self, why: &str, ending: Ending) -> Result<Ending, WalkError> {
        self.append(Entry::Stopped { why: why.to_owned() })?;
        Ok(ending)
    }

    pub(super) fn park(&mut self, node: &str) -> Result<Flow, WalkError> {
        let ending = Ending::Parked { node: node.to_owned() };
        Ok(Flow::Rest(self.rest("parked: nobody was there to answer", ending)?))
    }

    pub(super) fn fail(&mut self, visit: u64, node: &str, error: StepError) -> Result<Flow, WalkError> {
        self.append(Entry::Failed { visit, node: node.to_owned(), error })?;
        Ok(Flow::On)
    }

    pub(super) fn asked_of(&self, visit: u64, node: &Node) -> AskedOf {
        AskedOf {
            run: self.state.started.run.clone(),
            visit,
            node: node.id.clone(),
            title: node.title.clone(),
            answered: BTreeSet::new(),
            agreed: BTreeSet::new(),
            operators: self.state.operators.clone(),
        }
    }

    /// What a step is given in this visit.
    pub(super) fn cx(&self, visit: u64, node: &str, item: Option<usize>) -> StepCx {
        let item = item.map_or(String::new(), |item| format!(".{item}"));
        let (listener, node) = (Arc::clone(&self.world.listener), node.to_owned());
        StepCx {
            site: Arc::clone(&self.world.site),
            token: format!("{}/{visit}{item}", self.state.started.run),
            head: self.sealed(visit),
            cancel: self.world.cancel.clone(),
            progress: Arc::new(move |progress: Progress| {
                listener(&Event::Progress { visit, node: node.clone(), progress });
            }),
        }
    }

    /// Where the journal stood when a visit began; nothing for a rehearsal, whose commands are those of a recording.
    fn sealed(&self, visit: u64) -> Option<String> {
        let live = matches!(self.state.started.mode, Mode::Live);
        match &self.seal {
            _ if !live => None,
            (last, seal) if *last == visit => seal.clone(),
            _ => self.journal.head().map(|head| sealed(head.seq, &head.hash)),
        }
    }

    fn end_message(&self, id: &str) -> Option<String> {
        let node = self.plan.node(id)?;
        let Body::End { message: Some(template), .. } = &node.body else { return None };
        let names = self.state.names(node);
        // A message must not cost the run its end: what cannot be evaluated is shown as written.
        Some(text(template, &names).unwrap_or_else(|error| format!("{template} ({error})")).trim().to_owned())
    }

    pub(super) fn message_of(&self, id: &str) -> Value {
        self.end_message(id).map_or(Value::Null, Value::String)
    }
}
