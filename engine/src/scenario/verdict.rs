//! What happened, held against what was expected.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Expect, Passed};
use crate::glob::glob;

/// What happened when the runbook was walked.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Happened {
    /// The path.
    pub path: Vec<Passed>,
    /// How it ended, or where it came to rest.
    pub end: String,
    /// What is said of that.
    pub why: Option<String>,
    /// The last output of every node.
    #[serde(skip)]
    pub outputs: BTreeMap<String, Value>,
    /// Everything that was changed, in order.
    pub commands: Vec<String>,
    /// Nodes whose outcome was a fault's.
    pub injected: Vec<String>,
    /// Faults that never happened: what is asked, or the node.
    pub idle: Vec<String>,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Mismatch {
    /// The path parts from the expected one.
    Path {
        /// The nodes both have in common.
        after: Vec<Passed>,
        /// What was expected next.
        expected: Option<Passed>,
        /// What came.
        found: Option<Passed>,
    },
    /// It ended otherwise.
    End {
        /// What was expected.
        expected: String,
        /// What came.
        found: String,
        /// What is said of it.
        why: Option<String>,
    },
    /// An output is another.
    Output {
        /// Where: `classify.kind`.
        field: String,
        /// What was expected.
        expected: Value,
        /// What came; `None`: it is not there.
        found: Option<Value>,
    },
    /// Another change was made.
    Command {
        /// Which, counted from 1.
        number: usize,
        /// What was expected.
        expected: Option<String>,
        /// What came.
        found: Option<String>,
    },
    /// Something was to go wrong, and did not: nothing like it was asked.
    Idle {
        /// What was to be asked, or at which node.
        fault: String,
    },
}

/// All differences.
pub fn mismatches(expect: &Expect, happened: &Happened) -> Vec<Mismatch> {
    let mut all = Vec::new();
    if let Some(path) = &expect.path
        && let Some(at) = parting(path, &happened.path, |one, other| one == other)
    {
        all.push(Mismatch::Path {
            after: path[..at].to_vec(),
            expected: path.get(at).cloned(),
            found: happened.path.get(at).cloned(),
        });
    }
    if let Some(end) = expect.end.as_ref().filter(|end| **end != happened.end) {
        let (expected, found) = (end.clone(), happened.end.clone());
        all.push(Mismatch::End { expected, found, why: happened.why.clone() });
    }
    for (node, fields) in &expect.outputs {
        differ(node, fields, happened.outputs.get(node), &mut all);
    }
    if let Some(commands) = &expect.commands
        && let Some(at) = parting(commands, &happened.commands, |one, other| one == other || glob(one, other))
    {
        all.push(Mismatch::Command {
            number: at + 1,
            expected: commands.get(at).cloned(),
            found: happened.commands.get(at).cloned(),
        });
    }
    all.extend(happened.idle.iter().map(|fault| Mismatch::Idle { fault: fault.clone() }));
    all
}

/// Where two lists part.
fn parting<T>(one: &[T], other: &[T], same: impl Fn(&T, &T) -> bool) -> Option<usize> {
    let common = one.iter().zip(other).take_while(|(one, other)| same(one, other)).count();
    (common < one.len().max(other.len())).then_some(common)
}

/// Fields that are written have to be there; others may be.
fn differ(field: &str, expected: &Value, found: Option<&Value>, all: &mut Vec<Mismatch>) {
    match (expected, found) {
        (Value::Object(fields), Some(Value::Object(map))) => {
            for (name, value) in fields {
                differ(&format!("{field}.{name}"), value, map.get(name), all);
            }
        }
        (expected, Some(found)) if expected == found => {}
        (expected, found) => all.push(Mismatch::Output {
            field: field.to_owned(),
            expected: expected.clone(),
            found: found.cloned(),
        }),
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or<T: ToString>(value: Option<&T>, none: &str) -> String {
            value.map_or_else(|| none.to_owned(), T::to_string)
        }
        match self {
            Self::Path { after, expected, found } => {
                let after =
                    after.last().map_or_else(|| "at the start".to_owned(), |last| format!("after {last}"));
                let (expected, found) =
                    (or(expected.as_ref(), "nothing more"), or(found.as_ref(), "nothing more"));
                write!(f, "path: {after} expected {expected}, found {found}")
            }
            Self::End { expected, found, why } => {
                write!(f, "end: expected {expected}, found {found}")?;
                why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::Output { field, expected, found } => {
                write!(
                    f,
                    "output: {field} expected {expected}, found {}",
                    or(found.as_ref(), "no such field")
                )
            }
            Self::Command { number, expected, found } => {
                let (expected, found) = (or(expected.as_ref(), "no more"), or(found.as_ref(), "no more"));
                write!(f, "change {number}: expected `{expected}`, found `{found}`")
            }
            Self::Idle { fault } => {
                write!(f, "fault: nothing like `{fault}` was asked, so it never happened")
            }
        }
    }
}
