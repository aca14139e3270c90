//! A past run as a world: steps answer what they answered then, as long as they are asked the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use engine::event::Event;
use engine::journal::Record;
use engine::run::Entry;
use engine::scenario::Passed;
use engine::step::{
    AnyPreview, Around, Confirmation, Done, Effect, Performed, Registry, Step, StepCx, StepError,
    StepErrorKind, UndoPreview, Undone, Wrapped,
};
use serde_json::Value;

/// A past run.
pub(crate) struct Memory {
    /// What every visit of a node came to, in order.
    visits: BTreeMap<String, Vec<Came>>,
    /// Its path.
    path: Vec<Passed>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Visits of the replay by node.
    begun: HashMap<String, Vec<u64>>,
    /// The visit that is walked: node and which of its visits.
    at: (String, usize),
    /// What steps are asked, by node, visit and item.
    asked: BTreeMap<(String, usize, Option<usize>), Value>,
    /// Whether what they are asked is only noted, or has to be the same.
    strict: bool,
}

/// What a visit came to.
#[derive(Clone)]
struct Came {
    /// Outcome and output, or the break; nothing if somebody said no.
    answer: Option<Result<(String, Value), StepError>>,
    /// The change was made; else there was nothing to do.
    acted: bool,
    /// A person chose the outcome.
    chosen: bool,
}

impl Memory {
    /// What is remembered of a run, up to a rollback.
    pub(crate) fn of(records: &[Record]) -> Self {
        let rolled =
            |record: &Record| matches!(record.entry, Entry::RollbackBegan { .. } | Entry::UndoBegan { .. });
        let end = records.iter().position(rolled).unwrap_or(records.len());
        let (mut kept, mut acted) = (Vec::<Record>::new(), BTreeMap::new());
        for record in &records[..end] {
            match &record.entry {
                Entry::Intended { visit, .. } => drop(acted.insert(*visit, true)),
                // A break that somebody took up again is not where the run went.
                Entry::Resumed { .. } => {
                    while kept.last().is_some_and(|last| {
                        matches!(
                            last.entry,
                            Entry::Failed { .. } | Entry::Stopped { .. } | Entry::Declined { .. }
                        )
                    }) {
                        kept.pop();
                    }
                }
                _ => {}
            }
            kept.push(record.clone());
        }
        let mut visits: BTreeMap<String, Vec<Came>> = BTreeMap::new();
        for record in &kept {
            let (visit, node, answer, chosen) = match &record.entry {
                Entry::Finished { visit, node, outcome, output, by, .. } => {
                    (visit, node, Some(Ok((outcome.clone(), output.clone()))), by.is_some())
                }
                Entry::Failed { visit, node, error } => (visit, node, Some(Err(error.clone())), false),
                Entry::Declined { visit, node } => (visit, node, None, false),
                _ => continue,
            };
            let came = Came { answer, acted: acted.contains_key(visit), chosen };
            visits.entry(node.clone()).or_default().push(came);
        }
        Self { visits, path: Passed::path(&kept, None), state: Mutex::default() }
    }

    /// Where it went.
    pub(crate) fn path(&self) -> &[Passed] {
        &self.path
    }

    /// What people answered, by node.
    pub(crate) fn answers(&self) -> BTreeMap<String, Vec<String>> {
        let word = |came: &Came| match &came.answer {
            None => "no".to_owned(),
            Some(Ok((outcome, _))) if came.chosen => outcome.clone(),
            Some(_) => "yes".to_owned(),
        };
        self.visits.iter().map(|(node, all)| (node.clone(), all.iter().map(word).collect())).collect()
    }

    /// From now on steps have to be asked the same as so far.
    pub(crate) fn hold_to_it(&self) {
        let state = &mut *self.state();
        *state = State { asked: std::mem::take(&mut state.asked), strict: true, ..State::default() };
    }

    /// Takes note of which node is visited.
    pub(crate) fn hear(&self, event: &Event) {
        if let Event::Began { node, visit, .. } = event {
            let state = &mut *self.state();
            let visits = state.begun.entry(node.clone()).or_default();
            if !visits.contains(visit) {
                visits.push(*visit);
            }
            let turn = visits.iter().position(|begun| begun == visit).unwrap_or_default();
            state.at = (node.clone(), turn);
        }
    }

    /// The same step kinds, which remember.
    pub(crate) fn registry(self: &Arc<Self>, registry: &Registry) -> Registry {
        let mut remembering = Registry::default();
        for step in registry.steps() {
            remembering.register(Wrapped(Remembering(Arc::clone(step), Arc::clone(self))));
        }
        remembering
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this visit came to then, if it is asked the same.
    fn recall(&self, item: Option<usize>, params: &Value) -> Result<Came, StepError> {
        let state = &mut *self.state();
        let (node, turn) = state.at.clone();
        let forgotten = |what: &str| StepError::new(StepErrorKind::NotRecorded, what);
        let came = self.visits.get(&node).and_then(|all| all.get(turn));
        let came = came.ok_or_else(|| forgotten("it was not visited then"))?;
        let place = (node, turn, item);
        match state.asked.get(&place) {
            Some(asked) if state.strict && asked != params => {
                return Err(forgotten("it is asked something else than then"));
            }
            None if state.strict => return Err(forgotten("it was not asked then")),
            _ => {}
        }
        if !state.strict {
            state.asked.insert(place, params.clone());
        }
        Ok(came.clone())
    }
}

impl Came {
    /// The answer, or that of one item of a fan-out.
    fn done(&self, item: Option<usize>) -> Result<Done<Value>, StepError> {
        let (outcome, output) = match &self.answer {
            Some(answer) => answer.clone()?,
            None => return Err(StepError::new(StepErrorKind::NotRecorded, "somebody said no then")),
        };
        let Some(item) = item else { return Ok(Done::new(outcome, output)) };
        let fields = output.get("items").and_then(|items| items.get(item)).cloned().unwrap_or_default();
        let word = fields.get("outcome").and_then(Value::as_str).unwrap_or_default().to_owned();
        match fields.get("error").and_then(Value::as_str) {
            Some(error) if word == "broken" => Err(StepError::failed(error)),
            _ => Ok(Done::new(word, fields)),
        }
    }
}

/// The item of a fan-out that a token names: `run/visit.item`.
fn item_of(cx: &StepCx) -> Option<usize> {
    cx.token.rsplit('/').next()?.split_once('.')?.1.parse().ok()
}

struct Remembering(Arc<dyn Step>, Arc<Memory>);

#[async_trait]
impl Around for Remembering {
    fn inner(&self) -> &dyn Step {
        &*self.0
    }

    /// A replay acts on nothing, so it locks nothing.
    fn targets(&self, _: &Value) -> Vec<String> {
        Vec::new()
    }

    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError> {
        let item = item_of(cx);
        let came = self.1.recall(item, params)?;
        let nothing = came.done(item);
        let mut preview = AnyPreview::nothing(Done::new(String::new(), Value::Null));
        preview.nothing_to_do = match (came.acted, nothing) {
            (false, Ok(done)) => Some(done),
            _ => None,
        };
        Ok(preview)
    }

    /// What a step works out by itself it works out anew.
    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        if self.0.effect(params) == Effect::Pure {
            return self.0.perform(cx, params, intent).await;
        }
        let item = item_of(cx);
        Ok(Performed::Done(self.1.recall(item, params)?.done(item)?))
    }

    async fn confirm(&self, _: &StepCx, _: &Value, _: &Value) -> Result<Confirmation<Value>, StepError> {
        Ok(Confirmation::DidNot)
    }

    async fn preview_undo(&self, _: &StepCx, _: &Value, _: &Value) -> Result<UndoPreview, StepError> {
        Ok(UndoPreview::NothingToDo("nothing is done in a replay".to_owned()))
    }

    async fn undo(&self, _: &StepCx, _: &Value, _: &Value) -> Result<Undone, StepError> {
        Ok(Undone::NothingToDo("nothing is done in a replay".to_owned()))
    }
}
