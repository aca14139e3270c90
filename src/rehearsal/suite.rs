//! All scenarios of a runbook, walked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::check::left_to_do;
use engine::diagnostic::{Diagnostic, SourceFile};
use engine::plan::PlanData;
use engine::scenario::{Coverage, Expect, Happened, Mismatch, Scenario, mismatches, updated};
use tokio::runtime::Runtime;

use super::shelf::Script;
use super::stage::Worlds;
use crate::error::CliError;

/// All scenarios of a runbook, walked.
pub(crate) struct Suite {
    /// The runbook.
    pub runbook: String,
    /// Its scenarios.
    pub tried: Vec<Tried>,
    /// What those cover that did as expected.
    pub coverage: Coverage,
}

/// One scenario, walked.
pub(crate) struct Tried {
    /// Its name.
    pub name: String,
    /// Its title, if it could be read.
    pub title: String,
    /// Its file.
    pub path: PathBuf,
    /// What came of it.
    pub verdict: Verdict,
    /// How much is made up or undecided in it: its `TODO`s.
    pub left: usize,
    /// How long it took.
    pub took: Duration,
}

/// What came of a scenario.
pub(crate) enum Verdict {
    /// It did as expected.
    Passed(Happened),
    /// It did not.
    Differs(Happened, Vec<Mismatch>),
    /// It expects nothing.
    Expectless(Happened),
    /// It could not be walked.
    Broke(String),
    /// It has mistakes.
    Wrong(Vec<Diagnostic>, SourceFile),
}

impl Verdict {
    /// Whether it is as it should be.
    pub(crate) fn passed(&self) -> bool {
        matches!(self, Self::Passed(_))
    }

    /// What is wrong, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Passed(_) => Vec::new(),
            Self::Differs(_, all) => all.iter().map(Mismatch::to_string).collect(),
            Self::Expectless(_) => {
                vec!["it expects nothing; `runbook test --update` writes down what happens".to_owned()]
            }
            Self::Broke(why) => vec![why.clone()],
            Self::Wrong(found, _) => {
                found.iter().map(|found| format!("{}: {}", found.code, found.message)).collect()
            }
        }
    }

    fn happened(&self) -> Option<&Happened> {
        match self {
            Self::Passed(happened) | Self::Differs(happened, _) | Self::Expectless(happened) => {
                Some(happened)
            }
            Self::Broke(_) | Self::Wrong(..) => None,
        }
    }
}

impl Suite {
    /// Walks scenarios of a plan. With `update` their expectations are written anew. Each is told when it is done.
    ///
    /// # Errors
    /// A scenario that cannot be written.
    pub(crate) fn walk(
        plan: &Arc<PlanData>,
        scripts: &[Script],
        runtime: &Runtime,
        update: bool,
        mut done: impl FnMut(&Tried),
    ) -> Result<Self, CliError> {
        let (mut worlds, mut tried) = (Worlds::default(), Vec::new());
        for script in scripts {
            let begun = Instant::now();
            let read = script.read(plan);
            let title = read.as_ref().map(|scenario| scenario.title.clone()).unwrap_or_default();
            let mut verdict = match &read {
                Ok(scenario) => verdict(plan, script, scenario, &mut worlds, runtime),
                Err(found) => Verdict::Wrong(found.clone(), script.file.clone()),
            };
            if let (true, Ok(scenario), Some(happened)) = (update, &read, verdict.happened()) {
                let text = updated(&script.file.text, scenario, happened);
                if !verdict.passed() || scenario.expect.as_ref().is_some_and(|expect| expect.path.is_none()) {
                    std::fs::write(&script.path, text).map_err(|source| CliError::File {
                        action: "write",
                        path: script.path.clone(),
                        source,
                    })?;
                }
                verdict = judged(&Expect::default(), happened.clone());
            }
            let (name, path) = (script.name.clone(), script.path.clone());
            let left = left_to_do(&script.file, 0).len();
            let one = Tried { name, title, path, verdict, left, took: begun.elapsed() };
            done(&one);
            tried.push(one);
        }
        let good = tried.iter().filter(|tried| tried.verdict.passed());
        let coverage = Coverage::of(plan, good.filter_map(|tried| tried.verdict.happened()));
        Ok(Self { runbook: plan.runbook.clone(), tried, coverage })
    }

    /// How many did not do as expected.
    pub(crate) fn failed(&self) -> usize {
        self.tried.iter().filter(|tried| !tried.verdict.passed()).count()
    }

    /// Whether some could not even be read.
    pub(crate) fn wrong(&self) -> bool {
        self.tried.iter().any(|tried| matches!(tried.verdict, Verdict::Wrong(..)))
    }
}

fn verdict(
    plan: &Arc<PlanData>,
    script: &Script,
    scenario: &Scenario,
    worlds: &mut Worlds,
    runtime: &Runtime,
) -> Verdict {
    let set = match worlds.set(scenario, &script.path) {
        Ok(set) => set,
        Err(found) => return Verdict::Wrong(vec![*found], script.file.clone()),
    };
    let happened = match set.walk(plan, runtime) {
        Ok(happened) => happened,
        Err(error) => return Verdict::Broke(error.to_string()),
    };
    match &scenario.expect {
        None => Verdict::Expectless(happened),
        Some(expect) => judged(expect, happened),
    }
}

fn judged(expect: &Expect, happened: Happened) -> Verdict {
    match mismatches(expect, &happened) {
        all if all.is_empty() => Verdict::Passed(happened),
        all => Verdict::Differs(happened, all),
    }
}
