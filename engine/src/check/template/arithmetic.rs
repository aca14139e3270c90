//! Arithmetic with what is known to be text.

use serde_json::Value as Json;

use super::operations::Operand;
use super::passed::inside;
use super::scan::PathStep;
use super::{Names, Place, Record};
use crate::check::schema;

/// What a value is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A text like `10m`.
    Duration,
    /// A number.
    Number,
}

impl Kind {
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Duration)
    }
}

/// What an operand is known to be; nothing if that is not known.
pub(super) fn kind(operand: &Operand<'_>, names: &Names<'_>, place: Place<'_>) -> Option<Kind> {
    let (root, steps) = match operand {
        Operand::Number => return Some(Kind::Number),
        Operand::Other => return None,
        Operand::Path { root, steps, .. } => (*root, steps.as_slice()),
    };
    let record = match root {
        _ if place.item == Some(root) => return None,
        "inputs" => {
            let (PathStep::Field { name, .. }, steps) = steps.split_first()? else { return None };
            return of(names.inputs.get(name)?, steps);
        }
        "output" => place.output?,
        _ => names.nodes.get(root)?,
    };
    match record {
        Record::Known(schema) => of(schema, steps),
        Record::Anything | Record::Nothing(_) => None,
    }
}

fn of(root: &Json, steps: &[PathStep<'_>]) -> Option<Kind> {
    let mut kinds = schema::alternatives(root, inside(root, steps)?).into_iter().map(|one| {
        let types = schema::types(one);
        let all = |known: &[&str]| !types.is_empty() && types.iter().all(|name| known.contains(name));
        match one.get("format").and_then(Json::as_str) {
            Some("duration") if all(&["string", "null"]) => Some(Kind::Duration),
            _ if all(&["string", "null"]) => Some(Kind::Text),
            _ if all(&["integer", "number", "null"]) => Some(Kind::Number),
            _ => None,
        }
    });
    let first = kinds.next()??;
    kinds.all(|kind| kind == Some(first)).then_some(first)
}
