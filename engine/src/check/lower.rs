//! [`Document`]s → [`PlanData`], with every runbook that is run as a node written out.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::resolve::Loaded;
use super::{Findings, codes};
use crate::diagnostic::SourceFile;
use crate::plan::{
    Approve, Body, Edge, Enter, ForEach, Next, Node, OnFailure, Plan, PlanData, Scope, StepNode, Undo,
};
use crate::site::digest;
use crate::source::document::{
    DocApprove, DocBody, DocEdge, DocFailure, DocNext, DocNode, DocStep, DocUndo, Document,
};
use crate::source::node::{Node as Written, into_object};

/// Nodes in one plan.
const MOST_NODES: usize = 50_000;

/// Builds the plan of runbooks that have no error. `outcomes` are those of each node of each document.
pub(super) fn plan(
    mut loaded: Loaded,
    mut outcomes: Vec<Vec<Vec<String>>>,
    findings: &mut Findings,
) -> (Vec<SourceFile>, Option<PlanData>) {
    let (Some(document), Some(own)) = (loaded.take_first(), outcomes.first_mut().map(std::mem::take)) else {
        return (loaded.files, None);
    };
    let at = document.name.span.clone();
    let mut data = PlanData {
        format: Plan::FORMAT,
        runbook: document.name.text.clone().into(),
        title: document.title.clone(),
        severity: document.severity.clone(),
        source_digest: digest_of(&loaded.files),
        scopes: BTreeMap::new(),
        start: document.start.as_ref().map(|start| start.text.clone()).unwrap_or_default().into(),
        nodes: Vec::with_capacity(document.nodes.len()),
    };
    let lowering = Lowering { loaded: &loaded, outcomes: &outcomes };
    if lowering.scope(document, own, String::new(), &mut data) {
        return (loaded.files, Some(data));
    }
    findings
        .error(
            codes::RUNBOOK_TOO_LARGE,
            format!("with every runbook written out this plan has more than {MOST_NODES} nodes"),
            at,
        )
        .label("too large")
        .help("Run the parts as runbooks of their own.");
    (loaded.files, None)
}

fn digest_of(files: &[SourceFile]) -> String {
    let sources: String = files.iter().map(|file| file.text.as_str()).collect();
    digest(sources.as_bytes())
}

struct Lowering<'a> {
    loaded: &'a Loaded,
    outcomes: &'a [Vec<Vec<String>>],
}

impl Lowering<'_> {
    /// Writes out one runbook under the node `prefix` (empty for the runbook itself). `false` if there are too many
    /// nodes.
    fn scope(
        &self,
        document: Document,
        outcomes: Vec<Vec<String>>,
        prefix: String,
        data: &mut PlanData,
    ) -> bool {
        let scope = Scope {
            runbook: document.name.text.into(),
            inputs: document.inputs.into_iter().map(|input| (input.name.into(), input.spec)).collect(),
            vars: document.vars.into_iter().map(|(name, value)| (name.into(), value.into_json())).collect(),
        };
        data.scopes.insert(prefix.clone(), scope);
        for (node, outcomes) in document.nodes.into_iter().zip(outcomes) {
            if data.nodes.len() >= MOST_NODES {
                return false;
            }
            let inner = match &node.body {
                DocBody::Runbook(run) => self.loaded.named(&run.runbook.text),
                _ => None,
            };
            let start = inner.and_then(|(_, other)| other.start.as_ref()).map_or("", |start| &start.text);
            let Some(lowered) = lower_node(node, &prefix, outcomes, start) else { continue };
            let id = lowered.id.clone();
            data.nodes.push(lowered);
            if let Some((at, other)) = inner
                && !self.scope(other.clone(), self.outcomes[at].clone(), id, data)
            {
                return false;
            }
        }
        true
    }
}

/// One node; `inner` is the first one of the runbook that it runs.
fn lower_node(node: DocNode, prefix: &str, outcomes: Vec<String>, inner: &str) -> Option<Node> {
    let id = within(prefix, &node.name.text);
    let body = match node.body {
        DocBody::Step(step) => Body::Step(Box::new(lower_step(*step, prefix, outcomes))),
        DocBody::Runbook(run) => Body::Enter(Box::new(Enter {
            scope: id.clone(),
            start: within(&id, inner),
            with: Json::Object(into_object(run.inputs)),
            max_visits: run.max_visits,
            next: lower_next(run.next, prefix),
        })),
        DocBody::End { end, message, .. } => Body::End { end, message: message.map(String::from) },
        DocBody::Broken => return None, // Its error was reported, so there is no plan.
    };
    Some(Node {
        scope: prefix.to_owned(),
        title: node.title.unwrap_or(node.name).into(),
        flow: node.flow.map(String::from),
        why: node.why,
        id,
        body,
    })
}

fn within(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

fn with(written: Option<Written>) -> Json {
    written.map_or_else(|| Json::Object(Map::new()), Written::into_json)
}

fn lower_step(step: DocStep, prefix: &str, outcomes: Vec<String>) -> StepNode {
    StepNode {
        kind: step.kind.text.into(),
        with: with(step.with),
        approve: match step.approve {
            DocApprove::Default => Approve::Default,
            DocApprove::Required { prompt, rule } => {
                Approve::Required { prompt: prompt.map(String::from), rule }
            }
            DocApprove::Never { .. } => Approve::Never,
        },
        undo: match step.undo.map(|undo| *undo) {
            None | Some(DocUndo::Auto { .. }) => Undo::Auto,
            Some(DocUndo::Step { kind, with: params }) => {
                Undo::Step { kind: kind.text.into(), with: with(params) }
            }
        },
        retry: step.retry.map(|retry| *retry).unwrap_or_default(),
        timeout: step.timeout,
        max_visits: step.max_visits,
        on_failure: match step.on_failure {
            DocFailure::Default | DocFailure::Stop(_) => OnFailure::Stop,
            DocFailure::Unwind(_) => OnFailure::Unwind,
            DocFailure::Goto(to) => OnFailure::Goto(within(prefix, &to.text)),
        },
        for_each: step.for_each.map(|fan| {
            let (items, item) = (fan.items.text.into(), fan.item.text.into());
            Box::new(ForEach { items, item, at_once: fan.at_once, tolerate: fan.tolerate })
        }),
        refine: step.refine.into_iter().map(|(name, expression)| (name.into(), expression.into())).collect(),
        set: step.set.into_iter().map(|(name, value)| (name.into(), value.into_json())).collect(),
        outcomes,
        next: lower_next(step.next, prefix),
        declined: step.declined.map(|to| within(prefix, &to.text)),
    }
}

fn lower_next(next: DocNext, prefix: &str) -> Next {
    let edge = |edge: DocEdge| Edge {
        outcome: edge.outcome.text.into(),
        to: within(prefix, &edge.to.text),
        label: edge.label.map(String::from),
    };
    Next {
        edges: next.edges.into_iter().map(edge).collect(),
        otherwise: next.otherwise.map(|to| within(prefix, &to.text)),
    }
}
