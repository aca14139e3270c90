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
    let names = state.names(node);
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
