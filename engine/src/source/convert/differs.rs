//! Where a runbook differs from its page on purpose.

use super::super::document::{Differing, Differs};
use crate::check::{Findings, codes};
use crate::source::fields::{Fields, word, wrong_type};
use crate::source::node::Value;

const WORDS: [(&str, Differing); 5] = [
    ("way", Differing::Way),
    ("arrow", Differing::Arrow),
    ("box", Differing::Box),
    ("title", Differing::Title),
    ("command", Differing::Command),
];

/// The keys of a difference.
pub(super) fn keys() -> Vec<&'static str> {
    WORDS.iter().map(|(name, _)| *name).chain(["reason"]).collect()
}

/// Reads `differs`.
pub(super) fn differs(fields: &Fields<'_>, findings: &mut Findings) -> Vec<Differs> {
    let Some((key, node)) = fields.get("differs") else { return Vec::new() };
    let Value::Seq(items) = &node.value else {
        wrong_type(findings, node, &key.span, "`differs`", "a list of differences");
        return Vec::new();
    };
    let known = keys();
    let mut all = Vec::new();
    for item in items {
        let Some(entry) = Fields::of(item, &key.span, "a difference", &known, findings) else { continue };
        entry.need("reason", "Say why it differs: `reason: …`.", findings);
        entry.word("reason", findings);
        let mut found = WORDS.iter().filter_map(|(name, what)| Some((entry.get(name)?, *what)));
        match (found.next(), found.next()) {
            (Some(((key, node), what)), None) => {
                all.extend(word(node, key, findings).map(|which| Differs { what, which }));
            }
            (first, _) => {
                let at = first.map_or_else(|| key.span.clone(), |((key, _), _)| key.span.clone());
                findings
                    .error(codes::YAML_MISSING_KEY, "a difference is exactly one thing", at)
                    .label("which?")
                    .help("Write one of `way: K -> A`, `arrow: K -> A`, `box: K`, `title: …`, `command: …`, and the `reason`.");
            }
        }
    }
    all
}
