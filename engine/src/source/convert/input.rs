//! Inputs.

use serde_json::Value as Json;

use crate::check::{Findings, codes, list};
use crate::plan::{InputSpec, InputType};
use crate::source::document::Input;
use crate::source::duration;
use crate::source::fields::{Fields, unknown_word, wrong_type};
use crate::source::node::{Node, Value, Word};

pub(super) const KEYS: [&str; 6] = ["type", "help", "default", "optional", "secret", "choices"];
pub(super) const TYPES: [&str; 10] =
    ["string", "integer", "number", "boolean", "choice", "list", "duration", "path", "host", "slurm-job"];

pub(super) fn input(name: &Word, node: &Node, findings: &mut Findings) -> Option<Input> {
    let fields = Fields::of(node, &name.span, "an input", &KEYS, findings)?;
    let help = fields.text("help", findings);
    let optional = fields.flag("optional", findings).unwrap_or(false);
    let secret = fields.flag("secret", findings).unwrap_or(false);
    let choices = choices(&fields, findings);
    fields.need("type", &format!("It is one of {}.", list(TYPES).unwrap_or_default()), findings);
    let word = fields.word("type", findings)?;
    let r#type = match word.text.as_str() {
        "string" => InputType::String,
        "integer" => InputType::Integer,
        "number" => InputType::Number,
        "boolean" => InputType::Boolean,
        "list" => InputType::List,
        "duration" => InputType::Duration,
        "path" => InputType::Path,
        "host" => InputType::Host,
        "slurm-job" => InputType::SlurmJob,
        "choice" => {
            if choices.is_empty() && fields.get("choices").is_none() {
                findings
                    .error(
                        codes::YAML_MISSING_KEY,
                        "an input of type `choice` needs `choices`",
                        word.span.clone(),
                    )
                    .label("between what?")
                    .help("List the words: `choices: [drain, reboot]`.");
            }
            InputType::Choice(choices)
        }
        _ => {
            unknown_word(findings, "the type of an input", &word, &TYPES);
            return None;
        }
    };
    if secret {
        check_secret(&fields, &r#type, &word, findings);
    }
    let default = default(&fields, &r#type, optional, findings);
    Some(Input { name: name.clone(), spec: InputSpec { r#type, help, default, optional, secret } })
}

/// A secret is given apart from the command line, as text, and nobody may read it in a runbook.
fn check_secret(fields: &Fields<'_>, r#type: &InputType, word: &Word, findings: &mut Findings) {
    if *r#type != InputType::String {
        findings
            .error(codes::INPUT_SECRET, "a secret input is text", word.span.clone())
            .label("its type must be `string`")
            .help("Write `type: string`, or remove `secret`.");
    }
    if let Some((key, _)) = fields.get("default") {
        findings
            .error(codes::INPUT_SECRET, "a secret has no default", key.span.clone())
            .label("everybody who reads the runbook reads it")
            .help("Remove it, and change the secret where it is in use.");
    }
}

fn choices(fields: &Fields<'_>, findings: &mut Findings) -> Vec<String> {
    let Some((key, node)) = fields.get("choices") else { return Vec::new() };
    let Value::Seq(items) = &node.value else {
        wrong_type(findings, node, &key.span, "`choices`", "a list of words");
        return Vec::new();
    };
    let words = items.iter().filter_map(|item| {
        if item.text().is_none() {
            wrong_type(findings, item, &key.span, "a choice", "text");
        }
        item.text().map(str::to_owned)
    });
    words.collect()
}

fn default(fields: &Fields<'_>, r#type: &InputType, optional: bool, findings: &mut Findings) -> Option<Json> {
    let (key, node) = fields.get("default")?;
    let at = if node.span.len == 0 { key.span.clone() } else { node.span.clone() };
    if optional {
        findings
            .error(codes::INPUT_DEFAULT, "an input with a default is never missing", key.span.clone())
            .label("`default` and `optional` exclude each other")
            .help("Remove one of the two.");
    }
    if let Err(expected) = fits(r#type, node) {
        findings
            .error(codes::INPUT_DEFAULT, format!("the default must be {expected}"), at)
            .label(format!("this is {}", node.kind()))
            .help("A default is a value that could have been given on the command line; templates have no meaning in it.");
    }
    Some(node.to_json())
}

/// Whether a written value could be the value of an input.
///
/// # Errors
/// What it must be, for people.
pub(crate) fn fits(r#type: &InputType, node: &Node) -> Result<(), String> {
    let text = node.text().filter(|text| !text.contains("{{"));
    let (good, expected) = match r#type {
        InputType::Integer => {
            (matches!(&node.value, Value::Number(n) if n.is_i64() || n.is_u64()), "a whole number")
        }
        InputType::Number => (matches!(node.value, Value::Number(_)), "a number"),
        InputType::Boolean => (matches!(node.value, Value::Bool(_)), "`true` or `false`"),
        InputType::Duration => {
            (text.is_some_and(|text| duration::parse(text).is_some()), "a duration like `30s`")
        }
        InputType::List => (
            matches!(&node.value, Value::Seq(items) if items.iter().all(|item| item.text().is_some())),
            "a list of texts",
        ),
        InputType::Choice(choices) => {
            if text.is_some_and(|text| choices.iter().any(|choice| choice == text)) || choices.is_empty() {
                return Ok(());
            }
            let words = list(choices.iter().map(String::as_str)).unwrap_or_default();
            return Err(format!("one of {words}"));
        }
        // A job id may look like a number.
        InputType::SlurmJob => {
            (text.is_some() || matches!(&node.value, Value::Number(n) if n.is_u64()), "a Slurm job id")
        }
        InputType::String | InputType::Path | InputType::Host => (text.is_some(), "text"),
    };
    if good { Ok(()) } else { Err(expected.to_owned()) }
}
