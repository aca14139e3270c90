//! The policy of a site.

use super::gate::rule;
use crate::budget::{Limit, Limits, Measure};
use crate::check::{Findings, codes};
use crate::diagnostic::Span;
use crate::policy::{Answer, Effects, SiteRule};
use crate::source::fields::{Fields, unknown_word, word, wrong_type};
use crate::source::node::{Node, Value, Word};

const TOP: &[&str] = &["rules", "budget"];
const RULE: &[&str] = &["match", "approve", "forbid"];
const MATCH: &[&str] = &["effect", "steps", "targets", "runbooks"];
const APPROVE: &[&str] = &["by", "not_operator", "group", "expires"];
const BUDGET: &[&str] = &["nodes_drained", "gpu_hours_stopped", "jobs_stopped"];
const QUOTA: &[&str] = &["most", "per"];

/// Every key of a policy, by the map that has it.
#[cfg(test)]
pub(crate) const POLICY_KEYS: [&[&str]; 6] = [TOP, RULE, MATCH, APPROVE, BUDGET, QUOTA];

/// Reads a policy.
pub(crate) fn policy(root: &Node, findings: &mut Findings) -> Option<(Vec<SiteRule>, Limits)> {
    let top = Span { len: 0, ..root.span };
    let fields = Fields::of(root, &top, "a policy", TOP, findings)?;
    let mut rules = Vec::new();
    if let Some((key, node)) =
        fields.need("rules", "A policy without rules is written `rules: []`.", findings)
    {
        match &node.value {
            Value::Seq(items) => {
                rules.extend(items.iter().filter_map(|item| one(item, &key.span, findings)));
            }
            _ => wrong_type(findings, node, &key.span, "`rules`", "a list"),
        }
    }
    Some((rules, budget(&fields, findings)))
}

fn one(node: &Node, at: &Span, findings: &mut Findings) -> Option<SiteRule> {
    let fields = Fields::of(node, at, "a rule", RULE, findings)?;
    let place = node.entries().and_then(|entries| entries.first()).map_or(at, |(key, _)| &key.span).clone();
    let matched = fields.need("match", "Write `match: {}` for every change.", findings);
    let matched = matched.and_then(|(key, node)| Fields::of(node, &key.span, "`match`", MATCH, findings));
    let answer = match (fields.get("approve"), fields.get("forbid")) {
        (Some((key, node)), None) => {
            let gate = Fields::of(node, &key.span, "`approve`", APPROVE, findings)?;
            Answer::Approve(rule(&gate, findings))
        }
        (None, Some(_)) => {
            let why = fields.word("forbid", findings)?;
            if why.text.trim().is_empty() {
                bad(findings, "`forbid` needs a reason", why.span.clone(), "Say why: people read it.");
            }
            Answer::Forbid(why.text.into())
        }
        (Some(_), Some((key, _))) => {
            let message = "a rule has either `approve` or `forbid`";
            bad(findings, message, key.span.clone(), "Write two rules.");
            return None;
        }
        (None, None) => {
            let help = "Add `approve: { by: 2 }`, or `forbid: why it must not be done`.";
            bad(findings, "a rule demands nothing", place, help);
            return None;
        }
    };
    let matched = matched?;
    Some(SiteRule {
        effect: effect(&matched, findings),
        steps: patterns(&matched, "steps", findings),
        targets: patterns(&matched, "targets", findings),
        runbooks: patterns(&matched, "runbooks", findings),
        answer,
    })
}

fn bad(findings: &mut Findings, message: &str, at: Span, help: &str) {
    findings.error(codes::POLICY_RULE, message, at).label("here").help(help);
}

fn effect(fields: &Fields<'_>, findings: &mut Findings) -> Effects {
    const WORDS: [&str; 3] = ["changes", "reversible", "irreversible"];
    let Some(written) = fields.word("effect", findings) else { return Effects::Changes };
    match written.text.as_str() {
        "changes" => Effects::Changes,
        "reversible" => Effects::Reversible,
        "irreversible" => Effects::Irreversible,
        _ => {
            unknown_word(findings, "`effect`", &written, &WORDS);
            Effects::Changes
        }
    }
}

/// A list of patterns; one may stand alone. An empty list would match nothing, which nobody means.
fn patterns(fields: &Fields<'_>, name: &str, findings: &mut Findings) -> Vec<String> {
    let Some((key, node)) = fields.get(name) else { return Vec::new() };
    let mut take = |node: &Node, key: &Word| word(node, key, findings).map(String::from);
    let found: Vec<String> = match &node.value {
        Value::Seq(items) => items.iter().filter_map(|item| take(item, key)).collect(),
        Value::Str(_) => take(node, key).into_iter().collect(),
        _ => {
            wrong_type(findings, node, &key.span, &format!("`{name}`"), "a list of patterns");
            return Vec::new();
        }
    };
    if found.is_empty() {
        let message = format!("`{name}` is an empty list");
        bad(findings, &message, key.span.clone(), "Leave it out to match all.");
    }
    found
}

fn budget(fields: &Fields<'_>, findings: &mut Findings) -> Limits {
    let Some((key, node)) = fields.get("budget") else { return Limits::new() };
    let Some(fields) = Fields::of(node, &key.span, "`budget`", BUDGET, findings) else {
        return Limits::new();
    };
    let mut quota = |name: &str| {
        let (key, node) = fields.get(name)?;
        let quota = Fields::of(node, &key.span, "a quota", QUOTA, findings)?;
        quota.need("most", "How many, in any span of `per`.", findings);
        let per = quota.need("per", "The span: `per: 1h`.", findings).map(|(_, node)| node.span.clone());
        let (most, span) = (quota.factor("most", 0.0, findings), quota.duration("per", findings));
        if let (Some(at), Some(true)) = (per, span.map(|span| span.is_zero())) {
            findings.error(codes::VALUE_RANGE, "`per` must be longer than nothing", at).label("out of range");
        }
        Some(Limit { most: most?, per: span? })
    };
    let all = [Measure::NodesDrained, Measure::GpuHoursStopped, Measure::JobsStopped];
    all.into_iter().filter_map(|measure| Some((measure, quota(measure.name())?))).collect()
}
