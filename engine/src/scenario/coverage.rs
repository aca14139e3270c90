//! How much of a runbook its scenarios pass.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Happened, How, Passed};
use crate::plan::{Body, Next, Node, OnFailure, PlanData};

/// How much of a runbook its scenarios pass. Runbooks that it runs as nodes have scenarios of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Coverage {
    /// Nodes.
    pub nodes: Counted,
    /// Edges as they are written: one for each outcome that has its own, `otherwise`, `declined`, `on_failure`.
    pub edges: Counted,
    /// Outcomes, those that `otherwise` takes together each for itself.
    pub outcomes: Counted,
}

/// How many of what there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// All.
    pub total: usize,
    /// Passed by some scenario.
    pub covered: usize,
    /// Those among them that are only passed where a fault made the outcome.
    pub injected: usize,
    /// The others.
    pub missing: Vec<String>,
}

impl Counted {
    fn of(all: &[String], passed: &BTreeMap<String, bool>) -> Self {
        let real = all.iter().filter(|name| passed.get(*name) == Some(&true)).count();
        let covered = all.iter().filter(|name| passed.contains_key(*name)).count();
        let missing = all.iter().filter(|name| !passed.contains_key(*name)).cloned().collect();
        Self { total: all.len(), covered, injected: covered - real, missing }
    }
}

impl Coverage {
    /// What these walks passed of the plan.
    pub fn of<'h>(plan: &PlanData, walks: impl IntoIterator<Item = &'h Happened>) -> Self {
        let own: BTreeMap<&str, &Node> = plan
            .nodes
            .iter()
            .filter(|node| node.scope.is_empty())
            .map(|node| (node.id.as_str(), node))
            .collect();
        let (mut nodes, mut edges, mut outcomes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for walk in walks {
            let injected: BTreeSet<&str> = walk.injected.iter().map(String::as_str).collect();
            for passed in &walk.path {
                let Some(node) = own.get(passed.node.as_str()) else { continue };
                let real = !injected.contains(passed.node.as_str());
                let note = |map: &mut BTreeMap<String, bool>, name: String, real: bool| {
                    *map.entry(name).or_insert(false) |= real;
                };
                note(&mut nodes, passed.node.clone(), true);
                edge(node, passed).into_iter().for_each(|name| note(&mut edges, name, real));
                if let How::Outcome(_) = passed.how {
                    note(&mut outcomes, passed.to_string(), real);
                }
            }
        }
        let ids: Vec<String> = own.keys().map(|id| (*id).to_owned()).collect();
        let all_edges: Vec<String> =
            plan.nodes.iter().filter(|node| node.scope.is_empty()).flat_map(edges_of).collect();
        let words = |node: &&&Node| {
            outcomes_of(node).into_iter().map(|word| format!("{}:{word}", node.id)).collect::<Vec<_>>()
        };
        let all_outcomes: Vec<String> = own.values().flat_map(|node| words(&node)).collect();
        Self {
            nodes: Counted::of(&ids, &nodes),
            edges: Counted::of(&all_edges, &edges),
            outcomes: Counted::of(&all_outcomes, &outcomes),
        }
    }
}

fn next_of(node: &Node) -> Option<&Next> {
    match &node.body {
        Body::Step(step) => Some(&step.next),
        Body::Enter(enter) => Some(&enter.next),
        Body::End { .. } => None,
    }
}

fn outcomes_of(node: &Node) -> Vec<String> {
    match &node.body {
        Body::Step(step) => step.outcomes.clone(),
        Body::Enter(_) => ["resolved", "no_action", "escalated"].map(str::to_owned).into(),
        Body::End { .. } => Vec::new(),
    }
}

/// Every edge that is written at a node, as `stop:released → hardware`. An edge that no outcome can take is none.
fn edges_of(node: &Node) -> Vec<String> {
    let mut edges = Vec::new();
    if let Some(next) = next_of(node) {
        let named = |word: &String| next.edges.iter().any(|edge| edge.outcome == *word);
        edges.extend(next.edges.iter().map(|edge| format!("{}:{} → {}", node.id, edge.outcome, edge.to)));
        if let Some(to) = next.otherwise.as_ref().filter(|_| !outcomes_of(node).iter().all(named)) {
            edges.push(format!("{}:otherwise → {to}", node.id));
        }
    }
    if let Some(step) = node.step() {
        edges.extend(step.declined.as_ref().map(|to| format!("{}!declined → {to}", node.id)));
        if let OnFailure::Goto(to) = &step.on_failure {
            edges.push(format!("{}!failed → {to}", node.id));
        }
    }
    edges
}

/// The edge by which a node was left.
fn edge(node: &Node, passed: &Passed) -> Option<String> {
    let step = node.step();
    match &passed.how {
        How::Outcome(outcome) => {
            let next = next_of(node)?;
            match next.edges.iter().find(|edge| edge.outcome == *outcome) {
                Some(edge) => Some(format!("{}:{outcome} → {}", node.id, edge.to)),
                None => next.otherwise.as_ref().map(|to| format!("{}:otherwise → {to}", node.id)),
            }
        }
        How::Declined => step?.declined.as_ref().map(|to| format!("{}!declined → {to}", node.id)),
        How::Failed => match &step?.on_failure {
            OnFailure::Goto(to) => Some(format!("{}!failed → {to}", node.id)),
            OnFailure::Stop | OnFailure::Unwind => None,
        },
        How::Rests => None,
    }
}
