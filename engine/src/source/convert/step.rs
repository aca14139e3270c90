//! Nodes that run a step.

use smol_str::SmolStr;

use super::gate::approve;
use super::names::{check_name, check_outcome_name};
use super::next::next;
use crate::check::{Findings, codes};
use crate::plan::Retry;
use crate::source::document::{DocFailure, DocForEach, DocStep, DocUndo};
use crate::source::fields::{Fields, unknown_word, word, wrong_type};
use crate::source::node::{Node, Value, Word};
use crate::step::StepErrorKind;

/// The breaks that may be tried again. A step in doubt is confirmed, never repeated; drift and wrong parameters stay
/// what they are.
pub(super) const RETRIED: [(&str, StepErrorKind); 5] = [
    ("unreachable", StepErrorKind::Unreachable),
    ("timeout", StepErrorKind::Timeout),
    ("denied", StepErrorKind::Denied),
    ("malformed", StepErrorKind::Malformed),
    ("failed", StepErrorKind::Failed),
];

pub(super) const FOR_EACH: [&str; 2] = ["items", "as"];
pub(super) const UNDO: [&str; 2] = ["step", "with"];
pub(super) const RETRY: [&str; 4] = ["attempts", "delay", "backoff", "on"];

pub(super) fn step(kind: Word, fields: &Fields<'_>, findings: &mut Findings) -> DocStep {
    DocStep {
        with: with(fields, findings),
        approve: approve(fields, findings),
        undo: undo(fields, findings).map(Box::new),
        retry: retry(fields, findings).map(Box::new),
        timeout: fields.duration("timeout", findings),
        max_visits: fields.count("max_visits", 1, 1000, findings),
        on_failure: on_failure(fields, findings),
        for_each: for_each(fields, findings).map(Box::new),
        refine: refine(fields, findings),
        set: set(fields, findings),
        next: next(fields, findings),
        declined: fields.word("declined", findings),
        kind,
    }
}

/// The parameters. What is no map is reported and kept, so that nothing is said to be missing.
fn with(fields: &Fields<'_>, findings: &mut Findings) -> Option<Node> {
    let (key, node) = fields.get("with")?;
    match node.value {
        Value::Map(_) => Some(node.clone()),
        Value::Null => None,
        _ => {
            wrong_type(findings, node, &key.span, "`with`", "a map of parameters");
            Some(node.clone())
        }
    }
}

fn undo(fields: &Fields<'_>, findings: &mut Findings) -> Option<DocUndo> {
    let (key, node) = fields.get("undo")?;
    match &node.value {
        Value::Str(text) if text == "auto" => Some(DocUndo::Auto { at: node.span.clone() }),
        Value::Map(_) => {
            let fields = Fields::of(node, &key.span, "`undo`", &UNDO, findings)?;
            fields.need("step", "Name the step that takes the change back.", findings);
            let with = with(&fields, findings);
            Some(DocUndo::Step { kind: fields.word("step", findings)?, with })
        }
        Value::Str(text) => {
            let word = Word { text: text.clone(), span: node.span.clone() };
            unknown_word(findings, "`undo`", &word, &["auto", "{ step: …, with: … }"]);
            None
        }
        _ => {
            wrong_type(findings, node, &key.span, "`undo`", "`auto` or `{ step, with }`");
            None
        }
    }
}

fn retry(fields: &Fields<'_>, findings: &mut Findings) -> Option<Retry> {
    let (key, node) = fields.get("retry")?;
    let fields = Fields::of(node, &key.span, "`retry`", &RETRY, findings)?;
    let mut retry = Retry::default();
    fields.need("attempts", "Say how often it is tried in all: `attempts: 3`.", findings);
    if let Some(attempts) = fields.count("attempts", 1, 100, findings) {
        retry.attempts = attempts;
    }
    if let Some(delay) = fields.duration("delay", findings) {
        retry.delay = delay;
    }
    if let Some(backoff) = fields.factor("backoff", 1.0, findings) {
        retry.backoff = backoff;
    }
    if let Some((key, node)) = fields.get("on") {
        let Value::Seq(items) = &node.value else {
            wrong_type(findings, node, &key.span, "`on`", "a list of words");
            return Some(retry);
        };
        retry.on.clear();
        for item in items {
            let Some(word) = word(item, key, findings) else { continue };
            match RETRIED.iter().find(|(name, _)| *name == word.text) {
                Some((_, kind)) => retry.on.push(*kind),
                None if word.text == "in_doubt" => {
                    findings
                        .error(codes::VALUE_WORD, "a step in doubt is never tried again", word.span.clone())
                        .label("it may have had its effect already")
                        .help("Leave it out: the program finds out by reads whether the effect happened, and asks if it cannot.");
                }
                None => unknown_word(findings, "`on`", &word, &RETRIED.map(|(name, _)| name)),
            }
        }
    }
    Some(retry)
}

fn on_failure(fields: &Fields<'_>, findings: &mut Findings) -> DocFailure {
    match fields.word("on_failure", findings) {
        None => DocFailure::Default,
        Some(word) if word.text == "stop" => DocFailure::Stop(word.span),
        Some(word) if word.text == "unwind" => DocFailure::Unwind(word.span),
        Some(word) => DocFailure::Goto(word),
    }
}

fn for_each(fields: &Fields<'_>, findings: &mut Findings) -> Option<DocForEach> {
    let Some((key, node)) = fields.get("for_each") else {
        for name in ["at_once", "tolerate"] {
            if let Some((key, _)) = fields.get(name) {
                findings
                    .error(codes::NODE_MISPLACED_KEY, format!("`{name}` needs `for_each`"), key.span.clone())
                    .label("there is nothing to fan out over")
                    .help("Add `for_each: \"{{ … }}\"`, or remove it.");
            }
        }
        return None;
    };
    let at_once = fields.count("at_once", 1, 1000, findings).unwrap_or(1);
    let tolerate = fields.count("tolerate", 0, 100_000, findings).unwrap_or(0);
    let (items, item) = match &node.value {
        Value::Map(_) => {
            let fields = Fields::of(node, &key.span, "`for_each`", &FOR_EACH, findings)?;
            fields.need("items", "Give the list: `items: \"{{ … }}\"`.", findings);
            let item = fields.word("as", findings);
            if let Some(item) = item.as_ref().filter(|item| item.text != "item") {
                check_name(item, "an item", findings);
            }
            (fields.word("items", findings)?, item)
        }
        Value::Str(_) => (word(node, key, findings)?, None),
        _ => {
            wrong_type(
                findings,
                node,
                &key.span,
                "`for_each`",
                "an expression in `{{ }}` or `{ items, as }`",
            );
            return None;
        }
    };
    let item = item.unwrap_or_else(|| Word { text: SmolStr::new_static("item"), span: key.span.clone() });
    Some(DocForEach { items, item, at_once, tolerate })
}

fn refine(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(Word, Word)> {
    let Some((key, node)) = fields.get("outcome") else { return Vec::new() };
    let Some(entries) = node.entries() else {
        wrong_type(findings, node, &key.span, "`outcome`", "a map from outcomes to expressions");
        return Vec::new();
    };
    let mut refined = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        check_outcome_name(name, findings);
        if let Some(expression) = word(node, name, findings) {
            refined.push((name.clone(), expression));
        }
    }
    refined
}

fn set(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(Word, Node)> {
    let Some((key, node)) = fields.get("set") else { return Vec::new() };
    let Some(entries) = node.entries() else {
        wrong_type(findings, node, &key.span, "`set`", "a map from variables to values");
        return Vec::new();
    };
    entries.to_vec()
}
