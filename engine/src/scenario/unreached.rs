//! Nodes that no scenario passes, found without walking anything.

use std::collections::BTreeSet;

use super::Scenario;
use crate::check::{Findings, codes};
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::plan::PlanData;
use crate::source;

/// A warning for every node of a runbook that no scenario expects to pass. Nothing is said of a runbook without any.
pub fn unreached(file: &SourceFile, plan: &PlanData, scenarios: &[Scenario]) -> Vec<Diagnostic> {
    let paths = scenarios.iter().filter_map(|scenario| scenario.expect.as_ref()?.path.as_ref());
    let passed: BTreeSet<&str> = paths.flatten().map(|passed| passed.node.as_str()).collect();
    let own = plan.nodes.iter().filter(|node| node.scope.is_empty());
    let left: BTreeSet<&str> = own.map(|node| node.id.as_str()).filter(|id| !passed.contains(id)).collect();
    let mut findings = Findings::default();
    if passed.is_empty() || left.is_empty() {
        return Vec::new();
    }
    // What is wrong with the file itself is said by whoever checks it.
    let Some(root) = source::parse(file, 0, &mut Findings::default()) else { return Vec::new() };
    let nodes = root.entries().into_iter().flatten().find(|(key, _)| key.text == "nodes");
    for (name, _) in nodes.and_then(|(_, nodes)| nodes.entries()).into_iter().flatten() {
        if left.contains(name.text.as_str()) {
            let message = format!("no scenario passes `{}`", name.text);
            findings
                .warning(codes::SCENARIO_NEVER_REACHED, message, name.span.clone())
                .label("never rehearsed")
                .help("Write a scenario in `rehearsals/` that leads here; `runbook test` shows what is covered.");
        }
    }
    findings.into_sorted()
}
