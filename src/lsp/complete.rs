//! What is offered where one types.

use engine::step::{Outcomes, Registry};
use serde_json::{Value, json};

use super::context::{Context, context};
use super::document::Document;
use crate::schema::fields;

/// The kinds of items that the protocol knows (`CompletionItemKind`).
const FIELD: u8 = 5;
const VARIABLE: u8 = 6;
const PROPERTY: u8 = 10;
const ENUM_MEMBER: u8 = 20;
const REFERENCE: u8 = 18;
const FUNCTION: u8 = 3;

/// What could be written at a byte.
pub(super) fn complete(document: &Document, offset: usize, registry: &Registry) -> Vec<Value> {
    let outline = &document.outline;
    let Some(context) = context(&document.file.text, offset) else { return Vec::new() };
    match context {
        Context::Kind => {
            registry.steps().map(|step| item(step.spec().kind, FUNCTION, step.spec().summary)).collect()
        }
        Context::Target => {
            outline.nodes.iter().map(|node| item(&node.name, REFERENCE, &node.about)).collect()
        }
        Context::Outcome(kind) => {
            let Some(step) = registry.get(&kind) else { return Vec::new() };
            let (Outcomes::Fixed(known) | Outcomes::Keys { also: known, .. }) = &step.spec().outcomes;
            let known = known.iter().map(|outcome| item(&outcome.name, ENUM_MEMBER, &outcome.help));
            known.chain([item("otherwise", ENUM_MEMBER, "All other outcomes, but for `unknown`")]).collect()
        }
        Context::Param(kind) => {
            let Some(step) = registry.get(&kind) else { return Vec::new() };
            let one = |field: crate::schema::Field| {
                item(&field.name, PROPERTY, &format!("{}. {}", field.types, field.help))
            };
            fields(&step.spec().params).into_iter().map(one).collect()
        }
        Context::Root => outline.roots.iter().map(|root| item(&root.name, VARIABLE, &root.about)).collect(),
        Context::Field(name) => {
            let root = outline.roots.iter().find(|root| root.name == name);
            let all = root.into_iter().flat_map(|root| &root.fields);
            all.map(|(field, about)| item(field, FIELD, about)).collect()
        }
    }
}

fn item(label: &str, kind: u8, about: &str) -> Value {
    json!({ "label": label, "kind": kind, "documentation": about })
}
