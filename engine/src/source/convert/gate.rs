//! `approve`.

use crate::check::{Findings, codes};
use crate::source::document::DocApprove;
use crate::source::fields::{Fields, wrong_type};
use crate::source::node::{Value, Word};

const KEYS: [&str; 4] = ["prompt", "by", "not_operator", "expires"];

/// Reads the gate of a node.
pub(super) fn approve(fields: &Fields<'_>, findings: &mut Findings) -> DocApprove {
    let Some((key, node)) = fields.get("approve") else { return DocApprove::Default };
    match &node.value {
        Value::Bool(true) => DocApprove::Required { prompt: None },
        Value::Bool(false) => {
            findings
                .error(codes::VALUE_WORD, "`approve` cannot be `false`", node.span.clone())
                .label("unknown word")
                .help("Leave `approve` out for the default (changes are gated), or write `approve: never` to let this change happen unseen.");
            DocApprove::Default
        }
        Value::Str(text) if text == "never" => DocApprove::Never { at: node.span.clone() },
        Value::Str(text) => {
            DocApprove::Required { prompt: Some(Word { text: text.clone(), span: node.span.clone() }) }
        }
        Value::Map(_) => {
            let Some(gate) = Fields::of(node, &key.span, "`approve`", &KEYS, findings) else {
                return DocApprove::Default;
            };
            let by = gate.count("by", 1, 9, findings);
            let not_operator = gate.flag("not_operator", findings);
            let expires = gate.duration("expires", findings);
            let unmet = [
                ("by", by.is_some_and(|by| by > 1), "ask a second person"),
                ("not_operator", not_operator == Some(true), "tell whether the approver is the operator"),
                ("expires", expires.is_some(), "let an approval expire"),
            ];
            for (name, asked, cannot) in unmet {
                if let Some((key, _)) = gate.get(name).filter(|_| asked) {
                    findings
                        .error(
                            codes::APPROVE_NOT_ENFORCED,
                            format!("this version cannot {cannot}, so `{name}` would not be kept"),
                            key.span.clone(),
                        )
                        .label("not enforced")
                        .help("Remove it and arrange it between people, or use a version that enforces it.");
                }
            }
            DocApprove::Required { prompt: gate.word("prompt", findings) }
        }
        _ => {
            wrong_type(
                findings,
                node,
                &key.span,
                "`approve`",
                "`true`, a question in quotes, `{ prompt, by, not_operator, expires }` or `never`",
            );
            DocApprove::Default
        }
    }
}
