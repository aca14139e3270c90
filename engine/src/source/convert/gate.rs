//! `approve`.

use crate::check::{Findings, codes};
use crate::run::Rule;
use crate::source::document::DocApprove;
use crate::source::fields::{Fields, wrong_type};
use crate::source::node::{Value, Word};

pub(super) const KEYS: [&str; 5] = ["prompt", "by", "not_operator", "group", "expires"];

/// Reads the gate of a node.
pub(super) fn approve(fields: &Fields<'_>, findings: &mut Findings) -> DocApprove {
    let Some((key, node)) = fields.get("approve") else { return DocApprove::Default };
    let required = |prompt| DocApprove::Required { prompt, rule: Box::default() };
    match &node.value {
        Value::Bool(true) => required(None),
        Value::Bool(false) => {
            findings
                .error(codes::VALUE_WORD, "`approve` cannot be `false`", node.span.clone())
                .label("unknown word")
                .help("Leave `approve` out for the default (changes are gated), or write `approve: never` to let this change happen unseen.");
            DocApprove::Default
        }
        Value::Str(text) if text == "never" => DocApprove::Never { at: node.span.clone() },
        Value::Str(text) => required(Some(Word { text: text.clone(), span: node.span.clone() })),
        Value::Map(_) => {
            let Some(gate) = Fields::of(node, &key.span, "`approve`", &KEYS, findings) else {
                return DocApprove::Default;
            };
            let rule = rule(&gate, findings);
            DocApprove::Required { prompt: gate.word("prompt", findings), rule: Box::new(rule) }
        }
        _ => {
            wrong_type(
                findings,
                node,
                &key.span,
                "`approve`",
                "`true`, a question in quotes, `{ prompt, by, not_operator, group, expires }` or `never`",
            );
            DocApprove::Default
        }
    }
}

/// Reads who has to agree.
pub(super) fn rule(gate: &Fields<'_>, findings: &mut Findings) -> Rule {
    Rule {
        by: gate.count("by", 1, 9, findings).unwrap_or(1),
        not_operator: gate.flag("not_operator", findings).unwrap_or(false),
        groups: gate.text("group", findings).into_iter().collect(),
        expires: gate.duration("expires", findings),
    }
}
