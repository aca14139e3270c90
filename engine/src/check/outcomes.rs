//! What a node can end with, and whether each of its outcomes leads somewhere.

use serde_json::Value;

use super::{Findings, codes, list};
use crate::plan::EndKind;
use crate::source::convert::check_outcome_name;
use crate::source::document::{DocBody, DocNext, DocStep, Document};
use crate::source::node::{Node, Word};
use crate::step::{OutcomeSpec, Outcomes, StepSpec};

/// What a fan-out ends with when its items end differently.
const MIXED: &str = "mixed";
/// The answer of a step that looked and could not tell.
const UNKNOWN: &str = "unknown";

/// Every outcome of a node that runs a step: the step's own, the refined ones, `mixed` for a fan-out.
pub(super) fn of_step(spec: &StepSpec, step: &DocStep, findings: &mut Findings) -> Vec<OutcomeSpec> {
    let mut outcomes = match &spec.outcomes {
        Outcomes::Fixed(outcomes) => outcomes.clone(),
        named @ Outcomes::Keys { under, .. } => {
            check_keys(step, *under, findings);
            named.of(&step.with.as_ref().map_or(Value::Null, Node::to_json))
        }
    };
    let plain = |name: &str, help: &str| OutcomeSpec { name: name.to_owned(), help: help.to_owned() };
    outcomes.extend(step.refine.iter().map(|(name, _)| plain(&name.text, "")));
    if step.for_each.is_some() {
        outcomes.push(plain(MIXED, "the items ended differently"));
    }
    let mut seen = std::collections::HashSet::new();
    outcomes.retain(|outcome| seen.insert(outcome.name.clone()));
    outcomes
}

/// Outcomes that the author named as keys of a parameter.
fn check_keys(step: &DocStep, under: Option<&str>, findings: &mut Findings) {
    let entries = step.with.as_ref().and_then(|with| with.entries()).unwrap_or_default();
    let holder = match under {
        None => entries,
        Some(name) => {
            let found = entries.iter().find(|(key, _)| key.text == name);
            found.and_then(|(_, node)| node.entries()).unwrap_or_default()
        }
    };
    holder.iter().for_each(|(key, _)| check_outcome_name(key, findings));
}

/// The outcomes of a node that runs another runbook: the ends that it has.
pub(super) fn of_runbook(runbook: &Document) -> Vec<OutcomeSpec> {
    let mut ends: Vec<EndKind> = runbook
        .nodes
        .iter()
        .filter_map(|node| match node.body {
            DocBody::End { end, .. } => Some(end),
            _ => None,
        })
        .collect();
    ends.sort_unstable();
    ends.dedup();
    ends.into_iter().map(|end| OutcomeSpec { name: end.word().to_owned(), help: String::new() }).collect()
}

/// Reports edges by outcomes that cannot be, and outcomes without an edge. `what` can have the outcomes: a step kind.
pub(super) fn check(
    next: &DocNext,
    outcomes: &[OutcomeSpec],
    what: &str,
    name: &Word,
    findings: &mut Findings,
) {
    let names = || outcomes.iter().map(|outcome| outcome.name.as_str());
    // Outcomes whose edge is there, but misspelt: one mistake is one error.
    let mut misspelt: Vec<&str> = Vec::new();
    for edge in &next.edges {
        if names().any(|name| name == edge.outcome.text) {
            continue;
        }
        let free = names().filter(|name| next.edges.iter().all(|edge| edge.outcome.text != *name));
        let meant = findings.meant(&edge.outcome.text, free);
        misspelt.extend(meant);
        findings
            .error(
                codes::OUTCOME_UNKNOWN,
                format!("{what} never ends with `{}`", edge.outcome.text),
                edge.outcome.span.clone(),
            )
            .label("unknown outcome")
            .help_meant(meant, "It ends with", names());
    }
    let at = next.at.clone().unwrap_or_else(|| name.span.clone());
    let has_edge = |name: &str| {
        next.edges.iter().any(|edge| edge.outcome.text == name)
            || misspelt.contains(&name)
            || name == "otherwise"
    };
    if next.broken {
        return; // The edge that seems to be missing may be the one that could not be read.
    }
    // A single target says that it goes on the same way whatever comes out: nothing is diagnosed that could be wrong.
    if names().any(|name| name == UNKNOWN) && !has_edge(UNKNOWN) && !next.single {
        findings
            .error(
                codes::OUTCOME_UNKNOWN_FALLS_THROUGH,
                format!("`{}` may find out nothing, and `unknown` has no edge of its own", name.text),
                at.clone(),
            )
            .label("no edge for `unknown`")
            .help(if next.otherwise.is_some() {
                "`otherwise` does not cover `unknown`: a missing diagnosis must not go on by accident. Lead it to a \
                 person."
            } else {
                "Add `unknown: ...`; it usually leads to a person."
            });
    }
    let missing: Vec<&OutcomeSpec> =
        outcomes.iter().filter(|outcome| outcome.name != UNKNOWN && !has_edge(&outcome.name)).collect();
    if let Some(otherwise) = &next.otherwise {
        if missing.is_empty() && !next.single {
            findings
                .warning(
                    codes::OUTCOME_OTHERWISE_UNUSED,
                    "`otherwise` covers nothing",
                    otherwise.span.clone(),
                )
                .label("every outcome has its edge")
                .help("Remove it: a new outcome would go this way unnoticed.");
        }
        return;
    }
    if missing.is_empty() {
        return;
    }
    let listed = list(missing.iter().map(|outcome| outcome.name.as_str())).unwrap_or_default();
    let meaning: Vec<String> = missing
        .iter()
        .filter(|outcome| !outcome.help.is_empty())
        .take(4)
        .map(|outcome| format!("`{}`: {}.", outcome.name, outcome.help.trim_end_matches('.')))
        .collect();
    let (is, them) = if missing.len() == 1 { ("has no edge", "it") } else { ("have no edge", "them") };
    findings
        .error(codes::OUTCOME_NO_EDGE, format!("`{}` can end with {listed}, which {is}", name.text), at)
        .label(format!("no edge for {listed}"))
        .help(format!("Lead {them} to a node, or write `otherwise`. {}", meaning.join(" ")).trim_end());
}
