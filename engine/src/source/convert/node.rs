//! Nodes: what kind one is, and ends.

use super::names::check_runbook_name;
use super::next::next;
use super::runbook::shown;
use super::step::step;
use crate::check::{Findings, codes, list};
use crate::plan::EndKind;
use crate::source::document::{DocBody, DocNode, DocRunbook};
use crate::source::fields::{Fields, unknown_word, wrong_type};
use crate::source::node::{Node, Value, Word};

pub(super) const SUBRUN_WITH: [&str; 2] = ["runbook", "inputs"];
/// The word to which the engine itself gives a meaning.
const RUNBOOK: &str = "runbook";

pub(super) const COMMON: [&str; 3] = ["title", "flow", "why"];
pub(super) const END: [&str; 2] = ["end", "message"];
const SUBRUN: [&str; 5] = ["step", "with", "next", "otherwise", "max_visits"];
pub(super) const STEP: [&str; 16] = [
    "step",
    "with",
    "next",
    "otherwise",
    "approve",
    "undo",
    "on_failure",
    "retry",
    "timeout",
    "max_visits",
    "for_each",
    "at_once",
    "tolerate",
    "set",
    "outcome",
    "declined",
];
pub(super) const ENDS: [EndKind; 3] = [EndKind::Resolved, EndKind::NoAction, EndKind::Escalated];

pub(super) fn node(name: &Word, node: &Node, plain: &mut Vec<Word>, findings: &mut Findings) -> DocNode {
    let known: Vec<&str> = COMMON.into_iter().chain(STEP).chain(END).collect();
    let mut read = DocNode { name: name.clone(), title: None, flow: None, why: None, body: DocBody::Broken };
    let Some(fields) = Fields::of(node, &name.span, "a node", &known, findings) else { return read };
    read.title = shown(&fields, "title", plain, findings);
    read.flow = fields.word("flow", findings);
    read.why = shown(&fields, "why", plain, findings).map(String::from);
    read.body = body(name, &fields, findings);
    read
}

fn body(name: &Word, fields: &Fields<'_>, findings: &mut Findings) -> DocBody {
    match (fields.get("step"), fields.get("end")) {
        (Some((step, _)), Some((end, _))) => {
            findings
                .error(codes::NODE_KIND, "a node cannot both run a step and end the walk", end.span.clone())
                .label("`end` …")
                .related(step.span.clone(), "… and `step`")
                .help("Make the end a node of its own and lead to it with `next`.");
            DocBody::Broken
        }
        (None, None) => {
            findings
                .error(codes::NODE_KIND, format!("node `{}` does nothing", name.text), name.span.clone())
                .label("neither `step` nor `end`")
                .help(
                    "Give it `step: …` with `next`, or `end: resolved`, `end: no_action`, `end: escalated`.",
                );
            DocBody::Broken
        }
        (None, Some(_)) => {
            misplaced(fields, &END, "a node that ends the walk", findings);
            end(fields, findings)
        }
        (Some(_), None) => {
            let Some(kind) = fields.word("step", findings) else { return DocBody::Broken };
            if kind.text == RUNBOOK {
                misplaced(fields, &SUBRUN, "a node that runs another runbook", findings);
                return subrun(&kind, fields, findings);
            }
            misplaced(fields, &STEP, "a node that runs a step", findings);
            DocBody::Step(Box::new(step(kind, fields, findings)))
        }
    }
}

/// Reports keys that exist, but not at this kind of node.
fn misplaced(fields: &Fields<'_>, allowed: &[&str], what: &str, findings: &mut Findings) {
    let known = |key: &&Word| STEP.iter().chain(&END).any(|name| *name == key.text);
    for key in fields.keys().filter(|key| !allowed.contains(&key.text.as_str())).filter(known) {
        findings
            .error(
                codes::NODE_MISPLACED_KEY,
                format!("`{}` has no meaning at {what}", key.text),
                key.span.clone(),
            )
            .label("misplaced")
            .help(format!(
                "Besides {} it can have {}.",
                list(COMMON).unwrap_or_default(),
                list(allowed.iter().copied()).unwrap_or_default()
            ));
    }
}

fn end(fields: &Fields<'_>, findings: &mut Findings) -> DocBody {
    let message = fields.word("message", findings);
    let Some(word) = fields.word("end", findings) else { return DocBody::Broken };
    match ENDS.into_iter().find(|end| end.word() == word.text) {
        Some(end) => DocBody::End { end, end_at: word.span, message },
        None => {
            unknown_word(findings, "`end`", &word, &ENDS.map(EndKind::word));
            DocBody::Broken
        }
    }
}

fn subrun(kind: &Word, fields: &Fields<'_>, findings: &mut Findings) -> DocBody {
    const HELP: &str = "Name it: `with: { runbook: gpu-fault, inputs: { … } }`.";
    let next = next(fields, findings);
    let max_visits = fields.count("max_visits", 1, 1000, findings);
    let Some((key, with)) = fields.get("with") else {
        findings
            .error(codes::YAML_MISSING_KEY, "it is not said which runbook this node runs", kind.span.clone())
            .label("which one?")
            .help(HELP);
        return DocBody::Broken;
    };
    let Some(with) = Fields::of(with, &key.span, "`with` of a runbook", &SUBRUN_WITH, findings) else {
        return DocBody::Broken;
    };
    with.need("runbook", HELP, findings);
    let inputs = match with.get("inputs") {
        None => &[],
        Some((key, node)) => match (node.entries(), &node.value) {
            (Some(entries), _) => entries,
            (None, Value::Null) => &[],
            (None, _) => {
                wrong_type(findings, node, &key.span, "`inputs`", "a map from inputs to values");
                return DocBody::Broken;
            }
        },
    };
    let Some(runbook) = with.word("runbook", findings) else { return DocBody::Broken };
    check_runbook_name(&runbook, findings);
    DocBody::Runbook(DocRunbook { runbook, inputs: inputs.to_vec(), max_visits, next })
}
