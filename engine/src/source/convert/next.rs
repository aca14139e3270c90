//! Edges.

use crate::check::{Findings, codes};
use crate::source::document::{DocEdge, DocNext};
use crate::source::fields::{Fields, word, wrong_type};
use crate::source::node::{Node, Value, Word};

pub(super) const EDGE: [&str; 2] = ["to", "label"];

/// Reads `next` and the `otherwise` beside it.
pub(super) fn next(fields: &Fields<'_>, findings: &mut Findings) -> DocNext {
    let before = findings.errors();
    let mut next = DocNext::default();
    if fields.get("otherwise").is_none() {
        fields.need(
            "next",
            "Say where it goes on: `next: { outcome: node, … }`, or `end` instead of `step`.",
            findings,
        );
    }
    if let Some((key, node)) = fields.get("next") {
        next.at = Some(key.span.clone());
        match &node.value {
            Value::Str(_) => {
                next.otherwise = word(node, key, findings);
                next.single = true;
            }
            Value::Map(entries) => {
                for (outcome, target) in entries {
                    if outcome.text == "otherwise" {
                        next.otherwise = word(target, outcome, findings);
                    } else {
                        next.edges.extend(edge(outcome, target, findings));
                    }
                }
            }
            _ => wrong_type(
                findings,
                node,
                &key.span,
                "`next`",
                "a node's name, or a map from outcomes to names of nodes",
            ),
        }
    }
    if let Some((key, node)) = fields.get("otherwise") {
        next.at.get_or_insert_with(|| key.span.clone());
        let otherwise = word(node, key, findings);
        match &next.otherwise {
            Some(first) => {
                findings
                    .error(
                        codes::YAML_DUPLICATE_KEY,
                        "it is said twice where all other outcomes lead",
                        key.span.clone(),
                    )
                    .label("again here")
                    .related(first.span.clone(), "first here")
                    .help("Keep one of the two.");
            }
            None => next.otherwise = otherwise,
        }
    }
    next.broken = findings.errors() > before;
    next
}

fn edge(outcome: &Word, target: &Node, findings: &mut Findings) -> Option<DocEdge> {
    let (to, label) = match &target.value {
        Value::Map(_) => {
            let fields = Fields::of(target, &outcome.span, "an edge", &EDGE, findings)?;
            fields.need("to", "Name the node it leads to: `{ to: node, label: \"…\" }`.", findings);
            let label = fields.word("label", findings);
            (fields.word("to", findings)?, label)
        }
        Value::Str(_) => (word(target, outcome, findings)?, None),
        _ => {
            wrong_type(findings, target, &outcome.span, "an edge", "a node's name or `{ to, label }`");
            return None;
        }
    };
    Some(DocEdge { outcome: outcome.clone(), to, label })
}
