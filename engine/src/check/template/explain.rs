//! What the names in a template stand for.

use minijinja::Environment;
use serde_json::Value as Json;

use super::check::{Names, Record};
use super::scan::{self, Mention, PathStep};
use crate::check::outline::described;
use crate::check::schema::{self, Inside};
use crate::diagnostic::Span;
use crate::source::place_in_scalar;
use crate::template::is_template;

/// One name of a template.
pub(in crate::check) struct Explained {
    /// The node that it names, if it names one.
    pub(in crate::check) node: Option<String>,
    /// Where it is written.
    pub(in crate::check) at: Span,
    /// What it stands for, for people.
    pub(in crate::check) about: String,
    /// The text also gives this name to something of its own, and it cannot be told which of the two is meant.
    pub(in crate::check) shadowed: bool,
}

/// Every name in a text that stands for something outside of it. Nothing while the template is not well-formed.
pub(in crate::check) fn explain(text: &str, at: &Span, names: &Names<'_>) -> Vec<Explained> {
    if !is_template(text) {
        return Vec::new();
    }
    let mut env = Environment::new();
    env.set_debug(false);
    let Ok(template) = env.template_from_str(text) else { return Vec::new() };
    // Without what the template names itself, as the variables of its loops.
    let free = template.undeclared_variables(false);
    let mut found = Vec::new();
    for mention in scan::mentions(text) {
        let Mention::Path { root, steps, at: whole, .. } = mention else { continue };
        if !free.contains(root) {
            continue;
        }
        let place = |range| place_in_scalar(names.text, at, text, range);
        let root_at = place(whole.start..whole.start + root.len());
        let (schema, about, node) = match (root, names.nodes.get(root)) {
            ("inputs", _) => (None, "what the runbook was told at the start".to_owned(), None),
            ("vars", _) => (None, "values that change while the runbook runs".to_owned(), None),
            ("run", _) => (None, "this run".to_owned(), None),
            (_, Some(Record::Known(schema))) => {
                (Some(*schema), format!("the output of node `{root}`"), Some(root.to_owned()))
            }
            (_, Some(_)) => (None, format!("node `{root}`"), Some(root.to_owned())),
            (_, None) => continue,
        };
        found.push(Explained { node, at: root_at, about, shadowed: scan::binds(text, root) });
        follow(root, &steps, schema, names, &place, &mut found);
    }
    found
}

fn follow(
    root: &str,
    steps: &[PathStep<'_>],
    schema: Option<&Json>,
    names: &Names<'_>,
    place: &impl Fn(std::ops::Range<usize>) -> Span,
    found: &mut Vec<Explained>,
) {
    let mut path = root.to_owned();
    let mut record = schema;
    let mut inside = schema;
    for (number, step) in steps.iter().enumerate() {
        let PathStep::Field { name, at, .. } = step else {
            let element = record.zip(inside).map(|(record, inside)| schema::element(record, inside));
            let Some(Inside::Known(element)) = element else { return };
            inside = Some(element);
            path.push_str("[…]");
            continue;
        };
        path.push('.');
        path.push_str(name);
        let about = match (root, number) {
            ("inputs", 0) => {
                let Some(schema) = names.inputs.get(name) else { return };
                (record, inside) = (Some(*schema), Some(*schema));
                described(schema, schema)
            }
            ("vars", 0) if names.vars.contains_key(name) => "a variable".to_owned(),
            ("run", 0) => "text".to_owned(),
            (_, 0) if *name == "outcome" && schema.is_some() => {
                "text: the word that the node ended with".to_owned()
            }
            _ => {
                let field = record.zip(inside).map(|(record, inside)| schema::field(record, inside, name));
                let (Some(Inside::Known(field)), Some(record)) = (field, record) else { return };
                inside = Some(field);
                described(record, field)
            }
        };
        let about = format!("`{path}`: {about}");
        found.push(Explained { node: None, at: place(at.clone()), about, shadowed: false });
    }
}
