//! A template that is one path, and so passes a value on as it is.

use serde_json::Value as Json;

use super::check::{Names, Place, Record};
use super::scan::{self, Mention, PathStep};
use crate::check::schema::{self, Inside};
use crate::template::one_expression;

/// A value of known schema that a template passes on.
pub(in crate::check) struct Passed<'n> {
    /// As the author writes it.
    pub(in crate::check) path: String,
    /// Holds the definitions of its schema.
    pub(in crate::check) root: &'n Json,
    /// Its schema.
    pub(in crate::check) schema: &'n Json,
}

/// The value that a text passes on: it is one `{{ path }}`, and the path leads to something of which the schema is known.
pub(in crate::check) fn passed<'n>(text: &str, names: &'n Names<'_>, place: Place<'_>) -> Option<Passed<'n>> {
    let inner = one_expression(text)?;
    let mentions = scan::mentions(text);
    let [Mention::Path { root, steps, at, called: false }] = mentions.as_slice() else { return None };
    if text[inner].trim() != &text[at.clone()] || place.item == Some(root) {
        return None;
    }
    let (record, steps) = match (*root, steps.split_first()) {
        ("inputs", Some((PathStep::Field { name, .. }, rest))) => (*names.inputs.get(name)?, rest),
        ("inputs" | "vars" | "run" | "output" | "item", _) => return None,
        // The word that a node ended with stands beside what its step yields.
        (_, Some((PathStep::Field { name: "outcome", .. }, _))) => return None,
        (node, _) => match names.nodes.get(node)? {
            Record::Known(schema) => (*schema, steps.as_slice()),
            Record::Anything | Record::Nothing(_) => return None,
        },
    };
    Some(Passed { path: text[at.clone()].to_owned(), root: record, schema: inside(record, steps)? })
}

/// The schema of what a path leads to in a record; nothing if it is not known.
pub(super) fn inside<'s>(record: &'s Json, steps: &[PathStep<'_>]) -> Option<&'s Json> {
    steps.iter().try_fold(record, |schema, step| {
        let inside = match step {
            PathStep::Field { name, .. } => schema::field(record, schema, name),
            PathStep::Index => schema::element(record, schema),
        };
        if let Inside::Known(found) = inside { Some(found) } else { None }
    })
}
