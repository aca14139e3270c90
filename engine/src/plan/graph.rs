//! The plan as data and as a graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};

use super::{Body, Node, OnFailure, Scope, mentions};

/// The plan as it is written into the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanData {
    /// Version of this form; 1.
    pub format: u32,
    /// Name of the runbook.
    pub runbook: String,
    /// Its title.
    pub title: String,
    /// How bad it is that it has to be run.
    pub severity: Option<String>,
    /// SHA-256 of the YAML it was made from, inlined runbooks included.
    pub source_digest: String,
    /// The scopes by name; the runbook itself is `""`.
    pub scopes: BTreeMap<String, Scope>,
    /// The first node.
    pub start: String,
    /// All nodes.
    pub nodes: Vec<Node>,
}

/// The checked, resolved graph.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Shared with the run's first entry: of 10,000 nodes one copy is enough.
    data: Arc<PlanData>,
    index: HashMap<String, NodeIndex>,
    /// Positions of the nodes whose outputs some template may read.
    read: HashSet<NodeIndex>,
    graph: DiGraph<usize, ()>,
}

/// A plan whose parts do not fit: it was not made by this program's checker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The form is of another version.
    #[error("the plan has format {0}, this program reads format {FORMAT}")]
    Format(u32),
    /// An edge leads nowhere.
    #[error("the plan leads from {from} to {to}, which is not in it")]
    Dangling {
        /// Where it starts.
        from: String,
        /// Where it would lead.
        to: String,
    },
    /// Two nodes share a name.
    #[error("the plan has two nodes named {0}")]
    Twice(String),
}

const FORMAT: u32 = 1;

impl Plan {
    /// The form of [`PlanData`] that this program writes and reads.
    pub const FORMAT: u32 = FORMAT;

    /// Builds the graph.
    ///
    /// # Errors
    /// If the parts do not fit together.
    pub fn new(data: impl Into<Arc<PlanData>>) -> Result<Self, PlanError> {
        let data = data.into();
        if data.format != FORMAT {
            return Err(PlanError::Format(data.format));
        }
        let mut graph = DiGraph::with_capacity(data.nodes.len(), data.nodes.len() * 2);
        let mut index = HashMap::with_capacity(data.nodes.len());
        for (at, node) in data.nodes.iter().enumerate() {
            if index.insert(node.id.clone(), graph.add_node(at)).is_some() {
                return Err(PlanError::Twice(node.id.clone()));
            }
        }
        let find = |from: &str, to: &str| {
            let missing = || PlanError::Dangling { from: from.to_owned(), to: to.to_owned() };
            index.get(to).copied().ok_or_else(missing)
        };
        find("start", &data.start)?;
        for node in &data.nodes {
            let from = find(&node.id, &node.id)?;
            for to in targets(node) {
                graph.add_edge(from, find(&node.id, to)?, ());
            }
        }
        let mentioned: HashSet<&str> = data.nodes.iter().flat_map(mentions).collect();
        let read = data.nodes.iter().filter(|node| mentioned.contains(node.name()));
        let read = read.filter_map(|node| index.get(&node.id).copied()).collect();
        drop(mentioned);
        Ok(Self { data, index, read, graph })
    }

    /// The plan as data.
    pub fn data(&self) -> &Arc<PlanData> {
        &self.data
    }

    /// The graph; each weight is a position in [`PlanData::nodes`].
    pub fn graph(&self) -> &DiGraph<usize, ()> {
        &self.graph
    }

    /// Whether any template may read what this node yields.
    pub fn is_read(&self, node: &Node) -> bool {
        self.index.get(&node.id).is_some_and(|at| self.read.contains(at))
    }

    /// The node of this name.
    pub fn node(&self, id: &str) -> Option<&Node> {
        let at = *self.graph.node_weight(*self.index.get(id)?)?;
        self.data.nodes.get(at)
    }
}

/// Where a node leads without knowing outcomes: its edges, its `declined`, its failure edge; into an inlined runbook
/// by its start. The ends of an inlined runbook lead back through the edges of the node that entered it.
fn targets(node: &Node) -> Vec<&str> {
    match &node.body {
        Body::Step(step) => {
            let failure = match &step.on_failure {
                OnFailure::Goto(to) => Some(to.as_str()),
                OnFailure::Stop | OnFailure::Unwind => None,
            };
            step.next.targets().chain(step.declined.as_deref()).chain(failure).collect()
        }
        Body::Enter(enter) => enter.next.targets().chain([enter.start.as_str()]).collect(),
        Body::End { .. } => Vec::new(),
    }
}
