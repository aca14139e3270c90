//! Which names the templates of a node may read: known without evaluating any.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Approve, Body, Node, StepNode, Undo};
use crate::template::is_template;

/// The words in all templates of a node: every name it reads is among them.
pub(crate) fn mentions(node: &Node) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut add = |text| found.extend(words(text));
    match &node.body {
        Body::Step(step) => of_step(step, &mut add),
        Body::Enter(enter) => strings(&enter.with, &mut add),
        Body::End { message, .. } => message.iter().for_each(|text| add(text)),
    }
    found
}

fn of_step<'a>(step: &'a StepNode, add: &mut impl FnMut(&'a str)) {
    strings(&step.with, add);
    step.set.iter().for_each(|(_, value)| strings(value, add));
    step.refine.iter().for_each(|(_, expression)| add(expression));
    if let Some(fan) = &step.for_each {
        add(&fan.items);
    }
    if let Approve::Required { prompt: Some(prompt), .. } = &step.approve {
        add(prompt);
    }
    if let Undo::Step { with, .. } = &step.undo {
        strings(with, add);
    }
}

/// The words of a text that is evaluated.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let text = if is_template(text) { text } else { "" };
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// Hands every string of a tree to `add`.
fn strings<'a>(value: &'a Value, add: &mut impl FnMut(&'a str)) {
    match value {
        Value::String(text) => add(text),
        Value::Array(list) => list.iter().for_each(|item| strings(item, add)),
        Value::Object(map) => map.values().for_each(|item| strings(item, add)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
