//! Steps that answer what a scenario says, or break as it says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use engine::scenario::{Fault, Trouble};
use engine::step::{AnyPreview, Around, Done, Performed, Registry, Step, StepCx, StepError, Wrapped};
use serde_json::Value;

/// The faults of steps, and the node that is visited.
pub(crate) struct Faults(Mutex<State>);

struct State {
    at: String,
    /// With how often each has happened.
    faults: Vec<(Fault, u32)>,
    /// Nodes whose outcome was a fault's.
    injected: Vec<String>,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Arc<Self> {
        let steps = faults.iter().filter(|fault| !matches!(fault.trouble, Trouble::World { .. }));
        let faults = steps.map(|fault| (fault.clone(), 0)).collect();
        Arc::new(Self(Mutex::new(State { at: String::new(), faults, injected: Vec::new() })))
    }

    /// From now on this node is visited.
    pub(crate) fn enter(&self, node: &str) {
        node.clone_into(&mut self.state().at);
    }

    /// Nodes whose outcome was a fault's.
    pub(crate) fn injected(&self) -> Vec<String> {
        self.state().injected.clone()
    }

    /// Nodes at which something was to go wrong, and did not.
    pub(crate) fn idle(&self) -> Vec<String> {
        let state = self.state();
        let idle = state.faults.iter().filter(|(_, times)| *times == 0);
        idle.filter_map(|(fault, _)| fault.at.clone()).collect()
    }

    /// The same step kinds, with these faults.
    pub(crate) fn registry(self: &Arc<Self>, registry: Registry) -> Registry {
        if self.state().faults.is_empty() {
            return registry;
        }
        let mut faulty = Registry::default();
        for step in registry.steps() {
            faulty.register(Wrapped(Faulty(Arc::clone(step), Arc::clone(self))));
        }
        faulty
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the node that is visited ends with an outcome of a fault.
    fn ends(&self) -> bool {
        let state = self.state();
        let ends = |fault: &Fault| matches!(fault.trouble, Trouble::Outcome { .. });
        state.faults.iter().any(|(fault, times)| here(fault, *times, &state.at) && ends(fault))
    }

    /// What the step does instead, if it does: the outcome with fields of its output, or the break.
    fn instead(&self) -> Option<Result<Done<Value>, StepError>> {
        let state = &mut *self.state();
        let at = &state.at;
        let (fault, times) = state.faults.iter_mut().find(|(fault, times)| here(fault, *times, at))?;
        *times += 1;
        match &fault.trouble {
            Trouble::Outcome { outcome, output } => {
                state.injected.push(at.clone());
                Some(Ok(Done::new(outcome.clone(), output.clone()).line("so it is in this scenario")))
            }
            Trouble::Breaks(kind) => Some(Err(StepError::new(*kind, "it breaks in this scenario"))),
            Trouble::World { .. } => None,
        }
    }
}

fn here(fault: &Fault, times: u32, at: &str) -> bool {
    fault.at.as_deref() == Some(at) && fault.times.is_none_or(|most| times < most)
}

/// The step's own output with the fields of the fault.
fn merged(own: Option<Done<Value>>, mut fault: Done<Value>) -> Done<Value> {
    if let Some(Value::Object(mut fields)) = own.map(|own| own.output) {
        if let Value::Object(other) = fault.output {
            fields.extend(other);
        }
        fault.output = Value::Object(fields);
    }
    fault
}

struct Faulty(Arc<dyn Step>, Arc<Faults>);

#[async_trait]
impl Around for Faulty {
    fn inner(&self) -> &dyn Step {
        &*self.0
    }

    /// Where the step itself would end without a change, the fault ends it there.
    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError> {
        let preview = self.0.preview(cx, params).await;
        let acts = preview.as_ref().is_ok_and(|preview| preview.nothing_to_do.is_none());
        match acts || !self.1.ends() {
            true => preview,
            false => match self.1.instead() {
                Some(instead) => {
                    let own = preview.ok().and_then(|preview| preview.nothing_to_do);
                    instead.map(|done| AnyPreview::nothing(merged(own, done)))
                }
                None => preview,
            },
        }
    }

    /// A step that ends otherwise does its work all the same: what the recording tells afterwards rests on that.
    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        match self.1.instead() {
            Some(Ok(done)) => {
                let own = match self.0.perform(cx, params, intent).await {
                    Ok(Performed::Done(own)) => Some(own),
                    Ok(Performed::Ask(..)) | Err(_) => None,
                };
                Ok(Performed::Done(merged(own, done)))
            }
            Some(Err(broken)) => Err(broken),
            None => self.0.perform(cx, params, intent).await,
        }
    }
}
