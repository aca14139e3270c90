//! The policy that a site writes down: rules, of which all that match a change count, and a budget.

use super::{Demand, Intended, Policy};
use crate::budget::Limits;
use crate::check::Findings;
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::glob::glob;
use crate::run::Rule;
use crate::site::digest;
use crate::source;
use crate::step::Effect;

/// The policy of a site.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SitePolicy {
    /// All that match a change count, the strictest of each demand.
    pub rules: Vec<SiteRule>,
    /// How much all changes together may use up.
    pub limits: Limits,
    /// Digest of its text.
    pub digest: String,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteRule {
    /// What a change does.
    pub effect: Effects,
    /// Step kinds, with `*`; empty: any.
    pub steps: Vec<String>,
    /// Targets (`node/login*`), with `*`; empty: any. A change whose targets cannot be named beforehand may hit these.
    pub targets: Vec<String>,
    /// Runbooks, with `*`; empty: any.
    pub runbooks: Vec<String>,
    /// What is demanded.
    pub answer: Answer,
}

/// What a change does, as far as a rule looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effects {
    /// Any change.
    Changes,
    /// Those that can be taken back.
    Reversible,
    /// Those that cannot.
    Irreversible,
}

/// What a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A gate with at least this rule.
    Approve(Rule),
    /// That it is not made, and why.
    Forbid(String),
}

impl SitePolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// Everything that is wrong with it, by place.
    pub fn read(file: &SourceFile) -> Result<Self, Vec<Diagnostic>> {
        let mut findings = Findings::default();
        let read = source::parse(file, 0, &mut findings)
            .and_then(|root| source::convert::policy(&root, &mut findings));
        match read {
            Some((rules, limits)) if findings.errors() == 0 => {
                Ok(Self { rules, limits, digest: digest(file.text.as_bytes()) })
            }
            _ => Err(findings.into_sorted()),
        }
    }
}

impl SiteRule {
    /// Whether it is about this change.
    pub fn matches(&self, change: &Intended<'_>) -> bool {
        let effect = match self.effect {
            Effects::Changes => change.effect.changes(),
            Effects::Reversible => change.effect == Effect::Reversible,
            Effects::Irreversible => change.effect == Effect::Irreversible,
        };
        let any = |patterns: &[String], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, name))
        };
        let target = change.targets.is_empty() || change.targets.iter().any(|name| any(&self.targets, name));
        effect && any(&self.steps, change.kind) && any(&self.runbooks, change.runbook) && target
    }
}

impl Policy for SitePolicy {
    fn demands(&self, change: &Intended<'_>) -> Demand {
        let mut demand: Option<Rule> = None;
        for rule in self.rules.iter().filter(|rule| rule.matches(change)) {
            match &rule.answer {
                Answer::Forbid(why) => return Demand::Forbidden(why.clone()),
                Answer::Approve(rule) => {
                    demand = Some(demand.map_or(rule.clone(), |before| before.tighten(rule)));
                }
            }
        }
        demand.map_or(Demand::Nothing, Demand::Gate)
    }

    fn digest(&self) -> String {
        self.digest.clone()
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::run::RunId;

    fn read(text: &str) -> Result<SitePolicy, Vec<Diagnostic>> {
        SitePolicy::read(&SourceFile { name: "policy.yaml".to_owned(), text: text.to_owned() })
    }

    fn demand(policy: &SitePolicy, kind: &str, effect: Effect, targets: &[&str]) -> Demand {
        let run = RunId::parse("r").unwrap();
        let targets: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
        let (runbook, node) = ("training-oom", "stop");
        policy.demands(&Intended { run: &run, runbook, node, kind, effect, targets: &targets })
    }

    #[test]
    fn every_rule_that_matches_counts() {
        let policy = read(
            "rules:\n\
             - { match: { effect: irreversible }, approve: { by: 2, expires: 1h } }\n\
             - { match: { steps: [slurm.*], targets: [node/login*] }, forbid: login nodes stay }\n\
             - { match: { steps: [slurm.cancel], runbooks: [training-*] }, approve: { not_operator: true, group: sre, expires: 30m } }\n",
        )
        .unwrap();
        let both = Rule {
            by: 2,
            not_operator: true,
            groups: ["sre".to_owned()].into(),
            expires: Some(Duration::from_secs(1800)),
        };
        assert_eq!(demand(&policy, "slurm.cancel", Effect::Irreversible, &["job/1"]), Demand::Gate(both));
        assert_eq!(demand(&policy, "launch.edit", Effect::Reversible, &["file//a"]), Demand::Nothing);
        let forbidden = Demand::Forbidden("login nodes stay".to_owned());
        assert_eq!(demand(&policy, "slurm.drain", Effect::Reversible, &["node/a", "node/login2"]), forbidden);
        assert_eq!(demand(&policy, "slurm.drain", Effect::Reversible, &["node/gpu-1"]), Demand::Nothing);
        // What it hits is unknown: it may be a login node.
        assert_eq!(demand(&policy, "slurm.drain", Effect::Reversible, &[]), forbidden);
    }

    #[test]
    fn mistakes_are_found_all_at_once() {
        let found = read(
            "rules:\n\
             - { match: { effect: deadly, step: x }, approve: { by: 0 } }\n\
             - { match: {} }\n\
             - { match: {}, approve: {}, forbid: no }\n\
             - { match: { steps: [] }, forbid: \"\" }\n\
             budget: { nodes_drained: { most: 4 }, jobs_stopped: { most: -1, per: 0s } }\n\
             extra: 1\n",
        )
        .unwrap_err();
        let codes: Vec<&str> = found.iter().map(|found| found.code).collect();
        assert_eq!(
            codes,
            [
                "value::word",
                "yaml::unknown_key",
                "value::range",
                "policy::rule",
                "policy::rule",
                "policy::rule",
                "policy::rule",
                "yaml::missing_key",
                "value::range",
                "value::range",
                "yaml::unknown_key",
            ]
        );
        for broken in ["", "rules: 1", "[]", "rules: [", "rules: [1]"] {
            assert!(read(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn the_documentation_has_every_key_and_its_examples_are_right() {
        let text = include_str!("../../../docs/policy.md");
        for key in source::convert::POLICY_KEYS.iter().copied().flatten() {
            assert!(text.contains(&format!("| `{key}` |")), "docs/policy.md has no row for {key}");
        }
        let examples: Vec<&str> =
            text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!examples.is_empty());
        for example in examples {
            assert!(!read(example).unwrap().rules.is_empty(), "{example}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_is_a_regular_expression(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            // The same by another way: the parts between the stars follow one another.
            let parts: Vec<&str> = pattern.split('*').collect();
            let expected = if let [only] = parts[..] { only == name } else {
                let (first, last) = (parts[0], parts[parts.len() - 1]);
                name.len() >= first.len() + last.len() && name.starts_with(first) && name.ends_with(last) && {
                    let mut rest = &name[first.len()..name.len() - last.len()];
                    parts[1..parts.len() - 1].iter().all(|part| match rest.find(part) {
                        Some(at) => { rest = &rest[at + part.len()..]; true }
                        None => false,
                    })
                }
            };
            prop_assert_eq!(glob(&pattern, &name), expected);
        }
    }
}
