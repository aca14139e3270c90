//! A path as people write it: `stop:released`, `stop!declined`, and the node at which the run rests.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::journal::Record;
use crate::run::Entry;

/// One node of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passed {
    /// The node.
    pub node: String,
    /// How it was left.
    pub how: How,
}

/// How a node was left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// With this outcome.
    Outcome(String),
    /// Its step broke.
    Failed,
    /// Somebody said no at its gate.
    Declined,
    /// It was not: the run rests there.
    Rests,
}

impl Passed {
    /// Reads `node:outcome`, `node!failed`, `node!declined` or `node`.
    pub fn parse(text: &str) -> Option<Self> {
        let (node, how) = match (text.split_once(':'), text.split_once('!')) {
            (Some((node, outcome)), _) => (node, How::Outcome(outcome.to_owned())),
            (None, Some((node, "failed"))) => (node, How::Failed),
            (None, Some((node, "declined"))) => (node, How::Declined),
            (None, Some(_)) => return None,
            (None, None) => (text, How::Rests),
        };
        (!node.is_empty()).then(|| Self { node: node.to_owned(), how })
    }

    /// The path of a run. A run that rests before its end rests at the node `at`.
    pub fn path(records: &[Record], at: Option<&str>) -> Vec<Self> {
        let passed = |node: &String, how| Some(Self { node: node.clone(), how });
        let mut path: Vec<Self> = records
            .iter()
            .filter_map(|record| match &record.entry {
                Entry::Finished { node, outcome, .. } => passed(node, How::Outcome(outcome.clone())),
                Entry::Failed { node, .. } => passed(node, How::Failed),
                Entry::Declined { node, .. } => passed(node, How::Declined),
                Entry::Ended { node, .. } => passed(node, How::Rests),
                _ => None,
            })
            .collect();
        let rests = path.last().is_some_and(|last| last.how == How::Rests);
        if let Some(at) = at.filter(|_| !rests) {
            // A break or a "no" that holds the run says already where it rests.
            let held = |last: &Self| last.node == at && matches!(last.how, How::Failed | How::Declined);
            if !path.last().is_some_and(held) {
                path.push(Self { node: at.to_owned(), how: How::Rests });
            }
        }
        path
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::Outcome(outcome) => write!(f, "{}:{outcome}", self.node),
            How::Failed => write!(f, "{}!failed", self.node),
            How::Declined => write!(f, "{}!declined", self.node),
            How::Rests => f.write_str(&self.node),
        }
    }
}

impl Serialize for Passed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
