//! Into an inlined runbook and out of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::journal::Journal;
use crate::plan::{Body, EndKind, Enter, InputSpec, Node, Plan, Scope};
use crate::redact::Redactor;
use crate::run::{Entry, RunState};
use crate::step::{StepError, StepErrorKind};
use crate::template::{self, Binding, Names, Standing, TemplateError};

use super::evaluate::broken;
use super::walker::{Flow, WalkError, Walker};

/// The initial variables of the runbook itself.
pub(crate) fn initial_vars(
    scope: &Scope,
    state: &RunState,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    vars(scope, &state.names_of(""))
}

/// Variables in written order: a later one may use an earlier one.
fn vars(scope: &Scope, names: &Names) -> Result<BTreeMap<String, Value>, TemplateError> {
    let mut values = BTreeMap::new();
    for (name, tree) in &scope.vars {
        let so_far =
            Value::Object(values.iter().map(|(k, v): (&String, &Value)| (k.clone(), v.clone())).collect());
        let value = template::value(tree, &names.with("vars", Binding::known(so_far)))?.value;
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// The inputs of an inlined runbook: given ones, then defaults; what is optional and not given is unknown.
fn inputs(
    specs: &BTreeMap<String, InputSpec>,
    mut given: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, StepError> {
    for (name, spec) in specs {
        if given.get(name).is_some_and(|value| !value.is_null()) {
            continue;
        }
        match &spec.default {
            Some(default) => drop(given.insert(name.clone(), default.clone())),
            None if spec.optional => drop(given.insert(name.clone(), Value::Null)),
            None => {
                let message = format!("the input {name} of the inner runbook is unknown");
                return Err(StepError::new(StepErrorKind::Params, message));
            }
        }
    }
    Ok(given)
}

/// What an inlined runbook begins with.
pub(crate) struct Entering {
    pub inputs: BTreeMap<String, Value>,
    pub vars: BTreeMap<String, Value>,
}

/// Evaluates what the runbook that this node runs begins with.
pub(crate) fn entering(
    plan: &Plan,
    state: &RunState,
    node: &Node,
    enter: &Enter,
) -> Result<Entering, StepError> {
    let names = state.names(node);
    let missing = || StepError::failed(format!("the runbook of {} is not in the plan", node.id));
    let scope = plan.data().scopes.get(&enter.scope).ok_or_else(missing)?;
    let given = record(template::value(&enter.with, &names).map_err(broken)?.value);
    let inputs = inputs(&scope.inputs, given)?;
    let object = Value::Object(inputs.clone().into_iter().collect());
    let inner = names.with("inputs", Binding::known(object));
    let vars = vars(scope, &inner).map_err(broken)?;
    Ok(Entering { inputs, vars })
}

/// A record as ordered names.
fn record(value: Value) -> BTreeMap<String, Value> {
    match value {
        Value::Object(map) => map.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// A secret of an inner runbook has to be one of the run: what was found on the way is in the journal already, and could not
/// be asked for again when the run is resumed.
fn kept_secret(
    redactor: &Redactor,
    scope: Option<&Scope>,
    inputs: &BTreeMap<String, Value>,
) -> Result<(), StepError> {
    let specs = scope.into_iter().flat_map(|scope| &scope.inputs).filter(|(_, spec)| spec.secret);
    for (name, _) in specs {
        if let Some(value) = inputs.get(name).filter(|value| !value.is_null())
            && redactor.value(value.clone()) == *value
        {
            let message =
                format!("the secret input {name} of the inner runbook is given something that is no secret");
            return Err(
                StepError::new(StepErrorKind::Params, message).help("give it a secret input of this runbook")
            );
        }
    }
    Ok(())
}

impl<J: Journal> Walker<J> {
    /// Enters the runbook that a node runs.
    pub(super) fn enter(&mut self, visit: u64, id: &str) -> Result<Flow, WalkError> {
        let Some(node) = self.plan.node(id) else { return Ok(Flow::On) };
        let Body::Enter(enter) = &node.body else { return Ok(Flow::On) };
        let entering = entering(&self.plan, &self.state, node, enter).and_then(|entering| {
            let scope = self.plan.data().scopes.get(&enter.scope);
            kept_secret(&self.world.redactor, scope, &entering.inputs)?;
            Ok(entering)
        });
        match entering {
            Ok(Entering { inputs, vars }) => {
                self.append(Entry::Entered { visit, node: id.to_owned(), inputs, vars })?;
                Ok(Flow::On)
            }
            Err(error) => self.fail(visit, id, error),
        }
    }

    /// Leaves it: its end is the outcome of the node that ran it.
    pub(super) fn leave(&mut self, end_node: &str, end: EndKind) -> Result<Flow, WalkError> {
        let scope = self.plan.node(end_node).map(|node| node.scope.clone()).unwrap_or_default();
        let message = self.message_of(end_node);
        let found = self.state.trail.iter().enumerate().rev().find(|(_, visit)| visit.node == scope);
        let visit = found.map_or(0, |(at, _)| at as u64 + 1);
        self.append(Entry::Finished {
            visit,
            node: scope,
            outcome: end.word().to_owned(),
            summary: message.as_str().map(str::to_owned).into_iter().collect(),
            output: json!({ "end": end.word(), "message": message }),
            set: BTreeMap::new(),
            standing: Standing::Known,
            changed: false,
            by: None,
        })?;
        Ok(Flow::On)
    }
}
