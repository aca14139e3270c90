//! The parameters of a visit: templates against the names that the node's scope sees.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::plan::{Node, StepNode};
use crate::run::RunState;
use crate::step::{StepError, StepErrorKind, StepSpec};
use crate::template::{self, Binding, Evaluated, Names, TemplateError};

/// One thing to do in a visit: the node itself, or one item of its fan-out.
pub(crate) struct Item {
    /// Position in the fan-out.
    pub index: Option<usize>,
    /// Its parameters and what was noticed while they were evaluated.
    pub params: Evaluated<Value>,
    /// The names its templates see.
    pub names: Names,
}

/// What is to be done in a visit of this node.
///
/// # Errors
/// If a template cannot be evaluated, or the list of a fan-out is unknown or no list.
pub(crate) fn items(
    node: &Node,
    step: &StepNode,
    spec: &StepSpec,
    state: &RunState,
) -> Result<Vec<Item>, StepError> {
    let names = state.names(&node.scope, mentions(node).iter().map(String::as_str));
    let Some(fan) = &step.for_each else {
        let params = template::params(&step.with, &spec.params, &names).map_err(broken)?;
        return Ok(vec![Item { index: None, params, names }]);
    };
    let list = template::value(&Value::String(fan.items.clone()), &names).map_err(broken)?;
    if !list.open.is_empty() {
        // How many items there will be only a real run can know.
        let params = Evaluated { open: list.open, ..Evaluated::default() };
        return Ok(vec![Item { index: Some(0), params, names }]);
    }
    let Value::Array(list) = list.value else {
        let why = match list.unknown.first() {
            Some(path) => format!("{path} is unknown"),
            None => format!("`{}` is no list", fan.items),
        };
        return Err(StepError::new(StepErrorKind::Params, format!("cannot fan out: {why}")));
    };
    let each = list.into_iter().enumerate().map(|(index, item)| {
        let binding = Binding { value: Arc::new(item), standing: template::Standing::Known };
        let names = names.with(fan.item.clone(), binding);
        let params = template::params(&step.with, &spec.params, &names).map_err(broken)?;
        Ok(Item { index: Some(index), params, names })
    });
    each.collect()
}

/// The words in all templates of a node: every name it reads is among them.
pub(crate) fn mentions(node: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |text: &str| found.extend(words(text).into_iter().map(str::to_owned));
    if let Some(step) = node.step() {
        strings(&step.with, &mut add);
        step.set.iter().for_each(|(_, value)| strings(value, &mut add));
        step.refine.iter().for_each(|(_, expression)| add(expression));
        if let Some(fan) = &step.for_each {
            add(&fan.items);
        }
        if let crate::plan::Approve::Required { prompt: Some(prompt) } = &step.approve {
            add(prompt);
        }
        if let crate::plan::Undo::Step { with, .. } = &step.undo {
            strings(with, &mut add);
        }
    }
    add(&node.title);
    found
}

/// The words of a text.
pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect()
}

/// Hands every string of a tree to `add`.
pub(crate) fn strings(value: &Value, add: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => add(text),
        Value::Array(list) => list.iter().for_each(|item| strings(item, add)),
        Value::Object(map) => map.values().for_each(|item| strings(item, add)),
        _ => {}
    }
}

/// A template that cannot be evaluated breaks the node.
pub(crate) fn broken(error: TemplateError) -> StepError {
    StepError::new(StepErrorKind::Params, error.to_string())
}

/// A break over parameters, with the unknown values that may have caused it.
pub(crate) fn blame_unknown(mut error: StepError, params: &Evaluated<Value>) -> StepError {
    if error.kind == StepErrorKind::Params && !params.unknown.is_empty() {
        let unknown: BTreeSet<&str> = params.unknown.iter().map(String::as_str).collect();
        let unknown: Vec<&str> = unknown.into_iter().collect();
        error.message = format!("{} (unknown: {})", error.message, unknown.join(", "));
    }
    error
}
