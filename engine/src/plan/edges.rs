//! Where outcomes lead.

use serde::{Deserialize, Serialize};

/// One edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The outcome by which it leaves.
    pub outcome: String,
    /// The node it leads to.
    pub to: String,
    /// What the flow writes on it.
    pub label: Option<String>,
}

/// The edges of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Edges by outcome, in written order.
    pub edges: Vec<Edge>,
    /// Where every other outcome leads.
    pub otherwise: Option<String>,
}

impl Next {
    /// The node to which `outcome` leads.
    pub fn target(&self, outcome: &str) -> Option<&str> {
        let edge = self.edges.iter().find(|edge| edge.outcome == outcome);
        edge.map(|edge| edge.to.as_str()).or(self.otherwise.as_deref())
    }

    /// All targets, each once per edge.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.edges.iter().map(|edge| edge.to.as_str()).chain(self.otherwise.as_deref())
    }
}
