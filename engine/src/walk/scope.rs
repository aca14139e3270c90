//! Into an inlined runbook and out of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::journal::Journal;
use crate::plan::{Body, EndKind, InputSpec, Scope};
use crate::run::{Entry, RunState};
use crate::step::{StepError, StepErrorKind};
use crate::template::{self, Binding, Names, Standing, TemplateError};

use super::evaluate::broken;
use super::walker::{Flow, WalkError, Walker, record};

/// The initial variables of the runbook itself.
pub(crate) fn initial_vars(
    scope: &Scope,
    state: &RunState,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    vars(scope, &state.names("", []))
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
pub(crate) fn inputs(
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

/// Inputs and variables of the runbook that this node runs.
pub(crate) fn entering(
    scope: &Scope,
    with: &Value,
    names: &Names,
) -> Result<(BTreeMap<String, Value>, BTreeMap<String, Value>), StepError> {
    let given = record(template::value(with, names).map_err(broken)?.value);
    let inputs = inputs(&scope.inputs, given)?;
    let object = Value::Object(inputs.clone().into_iter().collect());
    let inner = names.with("inputs", Binding::known(object));
    let vars = vars(scope, &inner).map_err(broken)?;
    Ok((inputs, vars))
}

impl<J: Journal> Walker<J> {
    /// Enters the runbook that a node runs.
    pub(super) fn enter(&mut self, visit: u64, id: &str) -> Result<Flow, WalkError> {
        let Some(node) = self.plan.node(id).cloned() else { return Ok(Flow::On) };
        let Body::Enter(enter) = &node.body else { return Ok(Flow::On) };
        let mut wanted = std::collections::BTreeSet::new();
        super::evaluate::strings(&enter.with, &mut |text| {
            wanted.extend(super::evaluate::words(text).into_iter().map(str::to_owned));
        });
        let names = self.state.names(&node.scope, wanted.iter().map(String::as_str));
        let Some(scope) = self.plan.data().scopes.get(&enter.scope) else { return Ok(Flow::On) };
        match entering(scope, &enter.with, &names) {
            Ok((inputs, vars)) => {
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
