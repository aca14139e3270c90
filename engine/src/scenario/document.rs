//! A scenario as it was written.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value;

use super::Passed;
use crate::check::Findings;
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::plan::PlanData;
use crate::site::SiteErrorKind;
use crate::source;
use crate::step::StepErrorKind;

/// What a runbook has to do in a given world.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What it is about, one line.
    pub title: String,
    /// The world: a recording by its name, or by its path from the scenario.
    pub recording: Option<Written>,
    /// When it is; without it, when the recording begins.
    pub clock: Option<Timestamp>,
    /// Exchanges that are answered before those of the recording, as a recording has them.
    pub exchanges: Vec<Written>,
    /// Inputs; the others are the recording's, then the runbook's defaults. `null` is not known.
    pub inputs: BTreeMap<String, Value>,
    /// What people answer at gates (`yes`, `no`) and questions, by node; the last of several is given again. A gate that is
    /// not named is agreed to.
    pub answers: BTreeMap<String, Vec<String>>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What has to come of it; a scenario that is new has none.
    pub expect: Option<Expect>,
    /// Where that is written, whole lines.
    pub expect_at: Option<Range<usize>>,
}

/// A value that somebody else reads further.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The value.
    pub value: Value,
    /// Where it is written.
    pub at: Span,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Only at this node.
    pub at: Option<String>,
    /// Only so often.
    pub times: Option<u32>,
    /// What.
    pub trouble: Trouble,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// The world answers something else to what is asked like this: a command as a person would type it
    /// (`ssh gpu-20 nvidia-smi -q`), `read /path`, `stat /path`, `list /path`, `write /path`, `remove /path`, with `*` for any
    /// text.
    World {
        /// What is asked.
        on: String,
        /// The answer.
        told: Told,
    },
    /// The step ends with this, whatever it found or did.
    Outcome {
        /// The outcome.
        outcome: String,
        /// Fields of its output; the others are its own.
        output: Value,
    },
    /// The step breaks.
    Breaks(StepErrorKind),
}

/// What the world answers instead.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Nothing.
    Error(SiteErrorKind, String),
    /// A command's answer.
    Answer {
        /// Status.
        exit: i32,
        /// Standard output.
        stdout: String,
        /// Standard error.
        stderr: String,
    },
    /// What it would have answered, with other words in it: of each pair the first becomes the second.
    Replaced(Vec<(String, String)>),
    /// A file's content.
    Content(String),
    /// There is no such file.
    Absent,
}

/// What has to come of it. What is not written may be as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// The whole path.
    pub path: Option<Vec<Passed>>,
    /// `resolved`, `no_action`, `escalated`, `parked`, `held`, `stuck` or `rolled_back`.
    pub end: Option<String>,
    /// Fields of the last output of nodes; others may be there.
    pub outputs: BTreeMap<String, Value>,
    /// Everything that is changed, in order: commands as a person would type them, `write /path`, `remove /path`; with `*`.
    pub commands: Option<Vec<String>>,
}

impl Scenario {
    /// Reads a scenario of the runbook with this plan.
    ///
    /// # Errors
    /// Everything that is wrong with it, by place.
    pub fn read(file: &SourceFile, plan: &PlanData) -> Result<Self, Vec<Diagnostic>> {
        let mut findings = Findings::default();
        let read = source::parse(file, 0, &mut findings)
            .and_then(|root| source::convert::scenario(&root, &file.text, plan, &mut findings));
        match read {
            Some(scenario) if findings.errors() == 0 => Ok(scenario),
            _ => Err(findings.into_sorted()),
        }
    }

    /// Whether a YAML file is a scenario, and not a recording.
    pub fn is_one(text: &str) -> bool {
        text.lines().any(|line| line.starts_with("scenario:"))
    }
}

#[cfg(test)]
mod tests {
    use crate::source::convert::SCENARIO_KEYS;

    #[test]
    fn the_documentation_has_every_key() {
        let text = include_str!("../../../docs/scenarios.md");
        for key in SCENARIO_KEYS.iter().copied().flatten() {
            assert!(text.contains(&format!("| `{key}` |")), "docs/scenarios.md has no row for {key}");
        }
    }
}
