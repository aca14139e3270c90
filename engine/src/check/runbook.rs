//! Checking one runbook: its nodes against the steps and runbooks they bind to, its templates, its flow.

use std::sync::LazyLock;

use hashbrown::HashMap;
use serde_json::{Value as Json, json};

use super::resolve::Loaded;
use super::template::{Names, Place, Record, Templates};
use super::{Findings, codes, flow, order, outcomes, params, passed};
use crate::diagnostic::Span;
use crate::plan::{EndKind, InputType};
use crate::source::convert::input::fits;
use crate::source::document::{DocApprove, DocBody, DocNode, DocRunbook, DocStep, DocUndo, Document};
use crate::source::node::{Node, Word};
use crate::spread::{chunks, side_by_side};
use crate::step::{Effect, OutcomeSpec, Registry, StepSpec};

/// Fewer nodes than this are not worth a thread, which takes a megabyte of memory, too.
const WORTH_IT: usize = 4096;

/// Checks the runbook at `at`. Gives the outcomes of each of its nodes.
pub(super) fn check(
    loaded: &Loaded,
    at: usize,
    registry: &Registry,
    findings: &mut Findings,
) -> Vec<Vec<String>> {
    let (Some(file), Some(Some(document))) = (loaded.files.get(at), loaded.documents.get(at)) else {
        return Vec::new();
    };
    let fanned = fanned(document, registry);
    let names = names(&file.text, document, registry, &fanned);
    let cx = || Checking { loaded, document, registry, names: &names, templates: Templates::new() };
    cx().top(findings);
    let before = &*findings;
    let parts = side_by_side(chunks(&document.nodes, WORTH_IT), |(first, nodes)| {
        let (cx, mut findings) = (cx(), before.part());
        let outcomes: Vec<Vec<String>> =
            (first..).zip(nodes).map(|(at, node)| cx.node(at, node, &mut findings)).collect();
        (outcomes, cx.templates.into_reads(), findings)
    });
    let (mut outcomes, mut reads) = (Vec::with_capacity(document.nodes.len()), Vec::new());
    for (of_part, read, found) in parts {
        outcomes.extend(of_part);
        reads.extend(read);
        findings.add_part(found);
    }
    // What seems unreachable may hang on an edge that could not be read or is not written yet.
    let edges = ["yaml::", "node::", "outcome::"];
    let whole = !findings.any_in(at, |code| edges.iter().any(|area| code.starts_with(area)));
    let broken = |node: &DocNode| matches!(node.body, DocBody::Broken);
    if document.nodes.is_empty() {
        return outcomes; // Which was reported.
    }
    let whole = whole && !document.nodes.iter().any(broken);
    flow::check(document, whole, findings);
    let lost = |code: &str| code.starts_with("target::") || code.starts_with("flow::");
    if whole && !findings.any_in(at, lost) {
        order::check(document, &reads, findings);
    }
    outcomes
}

/// The output schemas of steps under a fan-out, by kind.
pub(super) fn fanned(document: &Document, registry: &Registry) -> HashMap<&'static str, Json> {
    let mut fanned = HashMap::new();
    for node in &document.nodes {
        let DocBody::Step(step) = &node.body else { continue };
        if let (Some(_), Some(found)) = (&step.for_each, registry.get(&step.kind.text)) {
            let spec = found.spec();
            fanned.entry(spec.kind).or_insert_with(|| fan(&spec.output));
        }
    }
    fanned
}

/// One record per item: the step's output, its outcome and the item, or the error of an item that broke.
fn fan(output: &Json) -> Json {
    let mut item = output.clone();
    let definitions = item.as_object_mut().and_then(|item| item.remove("$defs"));
    if let Some(properties) = item.get_mut("properties").and_then(Json::as_object_mut) {
        for name in ["outcome", "error"] {
            properties.entry(name).or_insert_with(|| json!({ "type": "string" }));
        }
        properties.entry("item").or_insert_with(|| json!({}));
    }
    json!({
        "type": "object",
        "$defs": definitions,
        "properties": { "items": { "type": "array", "items": item } },
    })
}

/// The names of a runbook and what they stand for.
pub(super) fn names<'a>(
    text: &'a str,
    document: &'a Document,
    registry: &'a Registry,
    fanned: &'a HashMap<&'static str, Json>,
) -> Names<'a> {
    let record = |node: &'a DocNode| match &node.body {
        DocBody::End { .. } => Record::Nothing("ends the walk"),
        DocBody::Runbook(_) => Record::Known(&SUBRUN),
        DocBody::Broken => Record::Anything,
        DocBody::Step(step) => match registry.get(&step.kind.text) {
            None => Record::Anything,
            Some(found) if step.for_each.is_some() => {
                fanned.get(found.spec().kind).map_or(Record::Anything, Record::Known)
            }
            Some(found) => Record::Known(&found.spec().output),
        },
    };
    Names {
        text,
        inputs: document.inputs.iter().map(|i| (i.name.text.as_str(), value_of(&i.spec.r#type))).collect(),
        vars: document.vars.iter().enumerate().map(|(at, (name, _))| (name.text.as_str(), at)).collect(),
        nodes: document.nodes.iter().map(|node| (node.name.text.as_str(), record(node))).collect(),
    }
}

/// What a node that runs another runbook yields.
static SUBRUN: LazyLock<Json> = LazyLock::new(|| {
    json!({
        "type": "object",
        "properties": { "end": { "type": "string" }, "message": { "type": ["string", "null"] } },
    })
});

/// The schema of an input's value.
fn value_of(r#type: &InputType) -> &'static Json {
    static TEXT: LazyLock<Json> = LazyLock::new(|| json!({ "type": "string" }));
    static DURATION: LazyLock<Json> = LazyLock::new(|| json!({ "type": "string", "format": "duration" }));
    static INTEGER: LazyLock<Json> = LazyLock::new(|| json!({ "type": "integer" }));
    static NUMBER: LazyLock<Json> = LazyLock::new(|| json!({ "type": "number" }));
    static BOOLEAN: LazyLock<Json> = LazyLock::new(|| json!({ "type": "boolean" }));
    static LIST: LazyLock<Json> = LazyLock::new(|| json!({ "type": "array", "items": { "type": "string" } }));
    match r#type {
        InputType::Integer => &INTEGER,
        InputType::Number => &NUMBER,
        InputType::Boolean => &BOOLEAN,
        InputType::List => &LIST,
        InputType::Duration => &DURATION,
        InputType::String
        | InputType::Choice(_)
        | InputType::Path
        | InputType::Host
        | InputType::SlurmJob => &TEXT,
    }
}

struct Checking<'a> {
    loaded: &'a Loaded,
    document: &'a Document,
    registry: &'a Registry,
    names: &'a Names<'a>,
    templates: Templates<'a>,
}

impl<'a> Checking<'a> {
    /// What stands above the nodes.
    fn top(&self, findings: &mut Findings) {
        for (at, (_, value)) in self.document.vars.iter().enumerate() {
            self.tree(value, Place { variable: Some(at), ..Place::default() }, findings);
        }
        for word in &self.document.plain {
            findings
                .warning(codes::TEMPLATE_NOT_HERE, "this text is shown as it is written", word.span.clone())
                .label("not evaluated")
                .help("Templates work in parameters, prompts and messages.");
        }
    }

    fn node(&self, at: usize, node: &'a DocNode, findings: &mut Findings) -> Vec<String> {
        let place = Place { node: Some(at), ..Place::default() };
        let outcomes = match &node.body {
            DocBody::Step(step) => self.step(node, step, place, findings),
            DocBody::Runbook(run) => self.runbook(node, run, place, findings),
            DocBody::End { end, end_at, message } => {
                match message {
                    Some(message) => {
                        self.templates.text(&message.text, &message.span, self.names, place, findings);
                    }
                    None => unsaid(*end, end_at, findings),
                }
                Vec::new()
            }
            DocBody::Broken => Vec::new(),
        };
        outcomes.into_iter().map(|outcome| outcome.name).collect()
    }

    fn step(
        &self,
        node: &'a DocNode,
        step: &'a DocStep,
        place: Place<'_>,
        findings: &mut Findings,
    ) -> Vec<OutcomeSpec> {
        let spec = self.kind(&step.kind, step.with.as_ref(), findings);
        let item = step.for_each.as_ref().map(|fan| fan.item.text.as_str());
        let inner = Place { item, ..place };
        if let Some(with) = &step.with {
            self.tree(with, inner, findings);
        }
        if let Some(spec) = spec {
            passed::check(spec, step.with.as_ref(), self.names, inner, findings);
        }
        if let Some(fan) = &step.for_each {
            let (items, what) = (&fan.items, "`for_each`");
            self.templates.expression(&items.text, &items.span, what, self.names, place, findings);
            self.item_name(&fan.item, findings);
        }
        if let DocApprove::Required { prompt: Some(prompt), .. } = &step.approve {
            self.templates.text(&prompt.text, &prompt.span, self.names, place, findings);
        }
        if let Some(DocUndo::Step { kind, with }) = step.undo.as_deref() {
            self.kind(kind, with.as_ref(), findings);
            if let Some(with) = with {
                self.tree(with, inner, findings);
            }
        }
        let record = self.names.nodes.get(node.name.text.as_str()).unwrap_or(&Record::Anything);
        let after = Place { output: Some(record), ..place };
        for (_, expression) in &step.refine {
            let what = "a refined outcome";
            self.templates.expression(&expression.text, &expression.span, what, self.names, after, findings);
        }
        for (name, value) in &step.set {
            self.variable(name, findings);
            self.tree(value, after, findings);
        }
        let Some(spec) = spec else { return Vec::new() };
        consent(spec, step, findings);
        self.unbounded(spec, step.with.as_ref(), findings);
        let outcomes = outcomes::of_step(spec, step, findings);
        outcomes::check(&step.next, &outcomes, spec.kind, &node.name, findings);
        outcomes
    }

    /// The step of a kind, with its parameters checked.
    fn kind(&self, kind: &Word, with: Option<&Node>, findings: &mut Findings) -> Option<&'a StepSpec> {
        let Some(step) = self.registry.get(&kind.text) else {
            let meant = findings.meant(&kind.text, self.registry.kinds());
            let report = findings
                .error(codes::STEP_UNKNOWN, format!("there is no step `{}`", kind.text), kind.span.clone())
                .label("unknown step");
            match meant {
                Some(meant) => report.help(format!("Did you mean `{meant}`?")),
                None => report.help("`runbook steps` lists the steps of this program."),
            };
            return None;
        };
        let spec = step.spec();
        params::check(spec, with, &kind.span, findings);
        Some(spec)
    }

    /// Warns of what never ends or says too much.
    fn unbounded(&self, spec: &StepSpec, with: Option<&Node>, findings: &mut Findings) {
        let (Some(step), Some(with)) = (self.registry.get(spec.kind), with) else { return };
        for found in step.unbounded(&with.to_json()) {
            let entries = with.entries().unwrap_or_default();
            let Some((key, value)) = entries.iter().find(|(key, _)| key.text == found.param) else {
                continue;
            };
            let at = if value.span.len == 0 { &key.span } else { &value.span };
            findings
                .warning(codes::OUTPUT_UNBOUNDED, found.message, at.clone())
                .label("no bound")
                .help(found.help);
        }
    }

    fn item_name(&self, item: &Word, findings: &mut Findings) {
        let Some(node) = self.document.nodes.iter().find(|node| node.name.text == item.text) else { return };
        findings
            .error(
                codes::NAME_RESERVED,
                format!("the item cannot be named like node `{}`", item.text),
                item.span.clone(),
            )
            .label("taken")
            .related(node.name.span.clone(), "by this node")
            .help("Choose another name after `as`.");
    }

    fn variable(&self, name: &Word, findings: &mut Findings) {
        if self.names.vars.contains_key(name.text.as_str()) {
            return;
        }
        let all = || self.document.vars.iter().map(|(name, _)| name.text.as_str());
        let meant = findings.meant(&name.text, all());
        let report = findings
            .error(
                codes::SET_UNKNOWN_VARIABLE,
                format!("no variable `{}` is declared", name.text),
                name.span.clone(),
            )
            .label("unknown variable");
        match meant {
            Some(meant) => report.help(format!("Did you mean `{meant}`?")),
            None => report.help(format!("Declare it: `vars: {{ {}: null }}`.", name.text)),
        };
    }

    fn runbook(
        &self,
        node: &'a DocNode,
        run: &'a DocRunbook,
        place: Place<'_>,
        findings: &mut Findings,
    ) -> Vec<OutcomeSpec> {
        for (_, value) in &run.inputs {
            self.tree(value, place, findings);
        }
        let Some((_, other)) = self.loaded.named(&run.runbook.text) else { return Vec::new() };
        let mut misspelt: Vec<&str> = Vec::new();
        for (name, value) in &run.inputs {
            let Some(input) = other.inputs.iter().find(|input| input.name.text == name.text) else {
                let all = || other.inputs.iter().map(|input| input.name.text.as_str());
                let meant = findings.meant(&name.text, all());
                misspelt.extend(meant);
                findings
                    .error(
                        codes::RUNBOOK_INPUT_UNKNOWN,
                        format!("runbook `{}` has no input `{}`", run.runbook.text, name.text),
                        name.span.clone(),
                    )
                    .label("unknown input")
                    .help_meant(meant, "It takes", all());
                continue;
            };
            let computed = value.text().is_some_and(crate::template::is_template);
            if let (false, Err(expected)) = (computed, fits(&input.spec.r#type, value)) {
                let at = if value.span.len == 0 { &name.span } else { &value.span };
                findings
                    .error(
                        codes::PARAM_WRONG_TYPE,
                        format!("input `{}` of runbook `{}` must be {expected}", name.text, run.runbook.text),
                        at.clone(),
                    )
                    .label(format!("this is {}", value.kind()))
                    .related(input.name.span.clone(), "declared here");
            }
        }
        for input in &other.inputs {
            let given = run.inputs.iter().any(|(name, _)| name.text == input.name.text);
            let misspelt = misspelt.contains(&input.name.text.as_str());
            if given || misspelt || input.spec.optional || input.spec.default.is_some() {
                continue;
            }
            findings
                .error(
                    codes::RUNBOOK_INPUT_MISSING,
                    format!("runbook `{}` needs the input `{}`", run.runbook.text, input.name.text),
                    run.runbook.span.clone(),
                )
                .label(format!("`{}` is missing", input.name.text))
                .related(input.name.span.clone(), "declared here")
                .help(format!("Write `inputs: {{ {}: … }}` under `with`.", input.name.text));
        }
        let outcomes = outcomes::of_runbook(other);
        outcomes::check(&run.next, &outcomes, &run.runbook.text, &node.name, findings);
        outcomes
    }

    /// Checks every text of a value.
    fn tree(&self, node: &'a Node, place: Place<'_>, findings: &mut Findings) {
        node.texts(&mut |text, at| self.templates.text(text, at, self.names, place, findings));
    }
}

/// An end without a message. What was resolved speaks for itself: the lines of the run say how.
fn unsaid(end: EndKind, at: &Span, findings: &mut Findings) {
    let (what, help) = match end {
        EndKind::Resolved => return,
        EndKind::Escalated => (
            "whoever takes over here is told nothing",
            "Add `message: …`: what was found, what was changed, what is left to do.",
        ),
        EndKind::NoAction => {
            ("it is not said why there is nothing to do", "Add `message: …`: what was looked at and found.")
        }
    };
    findings.warning(codes::END_NO_MESSAGE, what, at.clone()).label("no `message`").help(help);
}

/// Lists what takes a change out of a person's hands, and undos that undo nothing.
fn consent(spec: &StepSpec, step: &DocStep, findings: &mut Findings) {
    if let DocApprove::Never { at } = &step.approve
        && spec.effect.changes()
    {
        findings
            .warning(
                codes::GATE_NEVER,
                format!("{} changes things and nobody is asked", spec.kind),
                at.clone(),
            )
            .label("no gate")
            .help("Remove it unless this change is safe at any time, for any target.");
    }
    let overruled = step.with.as_ref().and_then(Node::entries).into_iter().flatten().find(|(key, value)| {
        key.text == "effect"
            && value.text() == Some("reads")
            && spec.params.pointer("/properties/effect").is_some()
    });
    if let Some((_, value)) = overruled {
        findings
            .warning(
                codes::EFFECT_OVERRULED,
                "the author vouches that this command only reads",
                value.span.clone(),
            )
            .label("runs without a gate, also in a dry run")
            .help("Read the command and the reason before you trust it.");
    }
    if let Some(DocUndo::Auto { at }) = step.undo.as_deref() {
        let what = match spec.effect {
            Effect::Pure | Effect::Reads => "changes nothing, so there is nothing to undo",
            Effect::Irreversible => "cannot take back what it does",
            Effect::Reversible => return,
        };
        findings
            .warning(codes::UNDO_IMPOSSIBLE, format!("{} {what}", spec.kind), at.clone())
            .label("undoes nothing")
            .help("Remove it, or name a step: `undo: { step: …, with: … }`.");
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn a_fan_out_yields_one_record_per_item_with_its_outcome() {
        let output = json!({ "type": "object", "properties": { "node": { "$ref": "#/$defs/Name" } }, "$defs": { "Name": { "type": "string" } } });
        let fan = fan(&output);
        let schema::Inside::Known(items) = schema::field(&fan, &fan, "items") else { panic!() };
        let schema::Inside::Known(item) = schema::element(&fan, items) else { panic!() };
        for name in ["node", "outcome"] {
            let schema::Inside::Known(field) = schema::field(&fan, item, name) else { panic!() };
            assert_eq!(schema::types(schema::alternatives(&fan, field)[0]), ["string"]);
        }
    }
}
