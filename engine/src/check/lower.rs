//! [`Document`]s → [`PlanData`], with every runbook that is run as a node written out.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::resolve::Loaded;
use super::{Findings, codes};
use crate::plan::{
    Approve, Body, Edge, Enter, ForEach, Next, Node, OnFailure, Plan, PlanData, Scope, StepNode, Undo,
};
use crate::site::digest;
use crate::source::document::{
    DocApprove, DocBody, DocFailure, DocNext, DocNode, DocStep, DocUndo, Document,
};
use crate::source::node::{Node as Written, Word};

/// Nodes in one plan.
const MOST_NODES: usize = 50_000;

/// Builds the plan of runbooks that have no error. `outcomes` are those of each node of each document.
pub(super) fn plan(
    loaded: &Loaded,
    outcomes: &[Vec<Vec<String>>],
    findings: &mut Findings,
) -> Option<PlanData> {
    let document = loaded.documents.first()?.as_ref()?;
    let nodes = Vec::with_capacity(document.nodes.len());
    let mut lowering = Lowering { loaded, outcomes, scopes: BTreeMap::new(), nodes };
    if !lowering.scope(0, document, String::new()) {
        findings
            .error(
                codes::RUNBOOK_TOO_LARGE,
                format!("with every runbook written out this plan has more than {MOST_NODES} nodes"),
                document.name.span.clone(),
            )
            .label("too large")
            .help("Run the parts as runbooks of their own.");
        return None;
    }
    let sources: String = loaded.files.iter().map(|file| file.text.as_str()).collect();
    Some(PlanData {
        format: Plan::FORMAT,
        runbook: document.name.text.clone(),
        title: document.title.clone(),
        severity: document.severity.clone(),
        source_digest: digest(sources.as_bytes()),
        scopes: lowering.scopes,
        start: document.start.as_ref()?.text.clone(),
        nodes: lowering.nodes,
    })
}

struct Lowering<'a> {
    loaded: &'a Loaded,
    outcomes: &'a [Vec<Vec<String>>],
    scopes: BTreeMap<String, Scope>,
    nodes: Vec<Node>,
}

impl Lowering<'_> {
    /// Writes out one runbook under the node `prefix` (empty for the runbook itself). `false` if there are too many
    /// nodes.
    fn scope(&mut self, at: usize, document: &Document, prefix: String) -> bool {
        let scope = Scope {
            runbook: document.name.text.clone(),
            inputs: document.inputs.iter().map(|i| (i.name.text.clone(), i.spec.clone())).collect(),
            vars: document.vars.iter().map(|(name, value)| (name.text.clone(), value.to_json())).collect(),
        };
        self.scopes.insert(prefix.clone(), scope);
        for (position, node) in document.nodes.iter().enumerate() {
            if self.nodes.len() >= MOST_NODES {
                return false;
            }
            let outcomes =
                self.outcomes.get(at).and_then(|all| all.get(position)).cloned().unwrap_or_default();
            let Some(lowered) = self.node(node, &prefix, outcomes) else { continue };
            let id = lowered.id.clone();
            self.nodes.push(lowered);
            if let DocBody::Runbook(run) = &node.body
                && let Some((inner, other)) = self.loaded.named(&run.runbook.text)
                && !self.scope(inner, other, id)
            {
                return false;
            }
        }
        true
    }

    fn node(&self, node: &DocNode, prefix: &str, outcomes: Vec<String>) -> Option<Node> {
        let name = &node.name.text;
        let id = within(prefix, name);
        let body = match &node.body {
            DocBody::Step(step) => Body::Step(Box::new(lower_step(step, prefix, outcomes))),
            DocBody::Runbook(run) => {
                let other = self.loaded.named(&run.runbook.text).map(|(_, other)| other);
                let start = other.and_then(|other| other.start.as_ref()).map_or("", |start| &start.text);
                Body::Enter(Enter {
                    scope: id.clone(),
                    start: within(&id, start),
                    with: object(&run.inputs),
                    max_visits: run.max_visits,
                    next: lower_next(&run.next, prefix),
                })
            }
            DocBody::End { end, message, .. } => {
                Body::End { end: *end, message: message.as_ref().map(|message| message.text.clone()) }
            }
            DocBody::Broken => return None, // Its error was reported, so there is no plan.
        };
        Some(Node {
            scope: prefix.to_owned(),
            title: node.title.as_ref().map_or_else(|| name.clone(), |title| title.text.clone()),
            flow: node.flow.as_ref().map(|flow| flow.text.clone()),
            why: node.why.clone(),
            id,
            body,
        })
    }
}

fn within(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

fn object(entries: &[(Word, Written)]) -> Json {
    Json::Object(entries.iter().map(|(name, value)| (name.text.clone(), value.to_json())).collect())
}

fn with(written: Option<&Written>) -> Json {
    written.map_or_else(|| Json::Object(Map::new()), Written::to_json)
}

fn lower_step(step: &DocStep, prefix: &str, outcomes: Vec<String>) -> StepNode {
    StepNode {
        kind: step.kind.text.clone(),
        with: with(step.with.as_ref()),
        approve: match &step.approve {
            DocApprove::Default => Approve::Default,
            DocApprove::Required { prompt, rule } => Approve::Required {
                prompt: prompt.as_ref().map(|prompt| prompt.text.clone()),
                rule: rule.clone(),
            },
            DocApprove::Never { .. } => Approve::Never,
        },
        undo: match &step.undo {
            None | Some(DocUndo::Auto { .. }) => Undo::Auto,
            Some(DocUndo::Step { kind, with: params }) => {
                Undo::Step { kind: kind.text.clone(), with: with(params.as_ref()) }
            }
        },
        retry: step.retry.clone(),
        timeout: step.timeout,
        max_visits: step.max_visits,
        on_failure: match &step.on_failure {
            DocFailure::Default | DocFailure::Stop(_) => OnFailure::Stop,
            DocFailure::Unwind(_) => OnFailure::Unwind,
            DocFailure::Goto(to) => OnFailure::Goto(within(prefix, &to.text)),
        },
        for_each: step.for_each.as_ref().map(|fan| ForEach {
            items: fan.items.text.clone(),
            item: fan.item.text.clone(),
            at_once: fan.at_once,
            tolerate: fan.tolerate,
        }),
        refine: step.refine.iter().map(|(name, text)| (name.text.clone(), text.text.clone())).collect(),
        set: step.set.iter().map(|(name, value)| (name.text.clone(), value.to_json())).collect(),
        outcomes,
        next: lower_next(&step.next, prefix),
        declined: step.declined.as_ref().map(|to| within(prefix, &to.text)),
    }
}

fn lower_next(next: &DocNext, prefix: &str) -> Next {
    let edge = |edge: &crate::source::document::DocEdge| Edge {
        outcome: edge.outcome.text.clone(),
        to: within(prefix, &edge.to.text),
        label: edge.label.as_ref().map(|label| label.text.clone()),
    };
    Next {
        edges: next.edges.iter().map(edge).collect(),
        otherwise: next.otherwise.as_ref().map(|to| within(prefix, &to.text)),
    }
}
