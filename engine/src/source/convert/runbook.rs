//! The top of the file.

use smol_str::SmolStr;

use super::differs::differs;
use super::input::input;
use super::names::{check_flag, check_name, check_runbook_name};
use super::node::node;
use crate::check::{Findings, codes};
use crate::diagnostic::Span;
use crate::source::document::Document;
use crate::source::fields::{Fields, wrong_type};
use crate::source::node::{Node, Value, Word};

pub(super) const KEYS: [&str; 10] =
    ["runbook", "title", "page", "differs", "severity", "description", "inputs", "vars", "start", "nodes"];

/// Reads one runbook. `flags` are the long flags that its inputs must leave alone.
pub(crate) fn document(root: &Node, flags: &[&str], findings: &mut Findings) -> Option<Document> {
    let top = Span { len: 0, ..root.span };
    if root.value == Value::Null {
        findings
            .error(codes::YAML_MISSING_KEY, "the file is empty", top)
            .label("nothing here")
            .help("A runbook has `runbook`, `title`, `start` and `nodes`.");
        return None;
    }
    let fields = Fields::of(root, &top, "a runbook", &KEYS, findings)?;
    let mut plain = Vec::new();

    fields.need("runbook", "Its first line is its name: `runbook: training-oom`.", findings);
    let name = fields.word("runbook", findings);
    if let Some(name) = &name {
        check_runbook_name(name, findings);
    }
    fields.need("title", "One line that tells people what it is for.", findings);
    let title = shown(&fields, "title", &mut plain, findings).map(String::from);
    shown(&fields, "description", &mut plain, findings);
    let severity = shown(&fields, "severity", &mut plain, findings).map(String::from);
    let page = fields.word("page", findings);
    let differs = differs(&fields, findings);

    let mut inputs = Vec::new();
    for (key, value) in section(&fields, "inputs", findings) {
        check_name(key, "an input", findings);
        check_flag(key, flags, findings);
        inputs.extend(input(key, value, findings));
    }
    let mut vars = Vec::new();
    for (key, value) in section(&fields, "vars", findings) {
        check_name(key, "a variable", findings);
        vars.push((key.clone(), value.clone()));
    }
    fields.need("start", "Name the first node: `start: …`.", findings);
    let start = fields.word("start", findings);
    fields.need("nodes", "Without nodes there is nothing to run.", findings);
    let nodes = section(&fields, "nodes", findings)
        .iter()
        .map(|(key, value)| {
            check_name(key, "a node", findings);
            node(key, value, &mut plain, findings)
        })
        .collect();

    let name = name.unwrap_or(Word { text: SmolStr::default(), span: top });
    Some(Document {
        title: title.unwrap_or_default(),
        name,
        severity,
        page,
        differs,
        inputs,
        vars,
        start,
        nodes,
        plain,
    })
}

/// A text that is shown as it is written.
pub(super) fn shown(
    fields: &Fields<'_>,
    key: &str,
    plain: &mut Vec<Word>,
    findings: &mut Findings,
) -> Option<Word> {
    let word = fields.word(key, findings)?;
    if crate::template::is_template(&word.text) {
        plain.push(word.clone());
    }
    Some(word)
}

/// The entries of a map from names to something; none if it is not there.
fn section<'n>(fields: &Fields<'n>, name: &str, findings: &mut Findings) -> &'n [(Word, Node)] {
    let Some((key, node)) = fields.get(name) else { return &[] };
    match (node.entries(), &node.value) {
        (Some([]), _) | (None, Value::Null) if name == "nodes" => {
            findings
                .error(codes::YAML_MISSING_KEY, "a runbook needs at least one node", key.span.clone())
                .label("no nodes")
                .help("A node is `name: { step: …, next: … }` or `name: { end: resolved }`.");
            &[]
        }
        (Some(entries), _) => entries,
        (None, Value::Null) => &[],
        (None, _) => {
            wrong_type(findings, node, &key.span, &format!("`{name}`"), "a map from names");
            &[]
        }
    }
}
