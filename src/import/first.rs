//! The first rehearsal of a new runbook: its first way, in a world of placeholders.

use std::collections::BTreeSet;
use std::fmt::Write;

use engine::plan::{Body, EndKind, InputType, Node, PlanData, StepNode};
use engine::step::Registry;
use engine::template::{self, Binding, Names};
use serde_json::{Map, Value};

use super::write::quoted;

/// A scenario that leads from the start to an end, as the first arrows go. It has no expectations yet: they are what comes of
/// walking it. What commands answer is made up and marked, for nothing is known of a real one.
pub(crate) fn rehearsal(plan: &PlanData, registry: &Registry) -> String {
    let way = way(plan);
    let inputs = inputs(plan);
    let mut names = Names::default();
    names.bind("inputs", Binding::known(Value::Object(inputs.clone())));
    let (mut answers, mut exchanges) = (String::new(), String::new());
    for (node, step, outcome) in &way {
        if step.kind == "ask" {
            let _ = writeln!(answers, "  {node}: {}", quoted(outcome));
        } else {
            exchanges.push_str(&exchange(step, &names, registry).unwrap_or_default());
        }
    }
    let world =
        if exchanges.is_empty() { "as people answer it" } else { "its commands answered by placeholders" };
    let mut text = format!(
        "# Made by `runbook new`: it shows that the runbook leads somewhere, and nothing of a real case.\n\
         # docs/scenarios.md (`runbook help scenarios`) has all that a scenario can say.\n\
         scenario: \"The first way, {world}\"   # TODO: a case that happened\n\
         clock: 2026-01-01T12:00:00Z\n"
    );
    if !inputs.is_empty() {
        text.push_str("inputs:\n");
        for (name, value) in &inputs {
            let _ = writeln!(text, "  {name}: {value}   # TODO: that of the case");
        }
    }
    if !answers.is_empty() {
        let _ = write!(text, "answers:\n{answers}");
    }
    if !exchanges.is_empty() {
        let _ = write!(
            text,
            "# In place of this list, `recording: NAME` takes what a real host answered:\n\
             # runbook run {} … --dry-run --record rehearsals/NAME.yaml\n\
             exchanges:\n{exchanges}",
            plan.runbook
        );
    }
    text.push_str("# What comes of it; after an edit, `runbook test --update` writes it anew.\n");
    text
}

/// The first way to an end: by the first arrow that leads to one, at which no person has to take over if there is such.
fn way(plan: &PlanData) -> Vec<(&str, &StepNode, &str)> {
    let (mut way, mut seen) = (Vec::new(), BTreeSet::new());
    let mut at = plan.start.as_str();
    while let Some((node, step)) =
        plan.nodes.iter().find(|node| node.id == at).and_then(|node| Some((node, node.step()?)))
    {
        seen.insert(at);
        let edges = || step.next.edges.iter().filter(|edge| step.kind == "ask" || edge.outcome == "ok");
        let leading = |good| edges().find(|edge| leads(plan, &edge.to, &seen, good));
        let Some(edge) = leading(true).or_else(|| leading(false)) else { break };
        way.push((node.id.as_str(), step, edge.outcome.as_str()));
        at = &edge.to;
    }
    way
}

/// Whether a way leads from a node to an end without those that were passed; to a `good` one if asked.
fn leads(plan: &PlanData, from: &str, passed: &BTreeSet<&str>, good: bool) -> bool {
    let (mut open, mut seen) = (vec![from], passed.clone());
    while let Some(at) = open.pop() {
        let fresh = !seen.contains(at);
        let Some(Node { id, body, .. }) = plan.nodes.iter().find(|node| fresh && node.id == at) else {
            continue;
        };
        seen.insert(id);
        match body {
            Body::End { end, .. } if !good || *end != EndKind::Escalated => return true,
            Body::Step(step) => open.extend(step.next.targets()),
            Body::End { .. } | Body::Enter(_) => {}
        }
    }
    false
}

/// A value for every input that needs one.
fn inputs(plan: &PlanData) -> Map<String, Value> {
    let specs = plan.scopes.get("").into_iter().flat_map(|scope| &scope.inputs);
    let needed = specs.filter(|(_, spec)| spec.default.is_none() && !spec.optional && !spec.secret);
    let value = |kind: &InputType| match kind {
        InputType::Host => "todo-host",
        _ => "todo",
    };
    needed.map(|(name, spec)| (name.clone(), value(&spec.r#type).into())).collect()
}

/// The command of a node with an answer that is made up.
fn exchange(step: &StepNode, names: &Names, registry: &Registry) -> Option<String> {
    let kind = registry.get(&step.kind)?;
    let with = template::params(&step.with, &kind.spec().params, names).ok()?.value;
    let script = with["run"].as_str()?;
    let mut text = "- run:\n".to_owned();
    if let Some(host) = with["host"].as_str() {
        let _ = writeln!(text, "    host: {}", quoted(host));
    }
    let _ = writeln!(text, "    script: {}", quoted(script));
    if kind.effect(&with).changes() {
        text.push_str("    changes: true\n");
    }
    text.push_str("    exit: 0\n    stdout: \"TODO: what this printed, and its exit status\\n\"\n");
    Some(text)
}
