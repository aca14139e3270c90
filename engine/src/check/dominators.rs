//! Which nodes of a graph lie on every path to another.
//!
//! petgraph's `simple_fast` takes quadratic time where many nodes of a long chain lead to one (each of 10,000 steps to the
//! end for what is left to people). Semi-NCA does not: Georgiadis, *Linear-Time Algorithms for Dominators and Related
//! Problems* (Princeton, 2005), section 2.3.

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

/// The dominator tree, numbered so that asking for an ancestor takes constant time.
pub(super) struct Dominators {
    /// By node: where it stands in a walk through the tree, and how many nodes it dominates, itself included. None that
    /// cannot be reached.
    spans: Vec<(u32, u32)>,
}

impl Dominators {
    /// Of all paths from `root`.
    pub(super) fn of<N, E>(graph: &DiGraph<N, E>, root: NodeIndex) -> Self {
        let forest = Forest::new(graph, root);
        let above = forest.dominators(graph);
        let mut sizes = vec![1; above.len()];
        for at in (1..above.len()).rev() {
            sizes[above[at]] += sizes[at];
        }
        // Where each stands, and where the next below it will.
        let mut places = vec![(0, 1); above.len()];
        for at in 1..above.len() {
            let place = places[above[at]].1;
            places[above[at]].1 += sizes[at];
            places[at] = (place, place + 1);
        }
        let mut spans = vec![(0, 0); graph.node_count()];
        for (at, node) in forest.nodes.iter().enumerate() {
            spans[node.index()] = (places[at].0, sizes[at]);
        }
        Self { spans }
    }

    /// Whether every path to `below` passes `above`; never where either cannot be reached.
    pub(super) fn dominates(&self, above: NodeIndex, below: NodeIndex) -> bool {
        let ((from, count), (at, reached)) = (self.spans[above.index()], self.spans[below.index()]);
        reached > 0 && (from..from + count).contains(&at)
    }
}

/// A depth-first search; nodes are called by the order in which it came to them.
struct Forest {
    nodes: Vec<NodeIndex>,
    parents: Vec<usize>,
    /// By index of a node; `usize::MAX` for one that cannot be reached.
    numbers: Vec<usize>,
}

impl Forest {
    fn new<N, E>(graph: &DiGraph<N, E>, root: NodeIndex) -> Self {
        let mut found =
            Self { nodes: Vec::new(), parents: Vec::new(), numbers: vec![usize::MAX; graph.node_count()] };
        let mut stack = vec![(root, 0)];
        while let Some((node, parent)) = stack.pop() {
            if found.numbers[node.index()] != usize::MAX {
                continue;
            }
            let number = found.nodes.len();
            found.numbers[node.index()] = number;
            found.nodes.push(node);
            found.parents.push(parent);
            stack.extend(graph.neighbors(node).map(|next| (next, number)));
        }
        found
    }

    /// The immediate dominator of each; the root's is itself.
    fn dominators<N, E>(&self, graph: &DiGraph<N, E>) -> Vec<usize> {
        let mut semi: Vec<usize> = (0..self.nodes.len()).collect();
        let mut paths = Paths { above: self.parents.clone(), least: semi.clone(), stack: Vec::new() };
        for at in (1..self.nodes.len()).rev() {
            for before in graph.neighbors_directed(self.nodes[at], Direction::Incoming) {
                let before = self.numbers[before.index()];
                if before != usize::MAX {
                    let best = paths.least(before, at, &semi);
                    semi[at] = semi[at].min(semi[best]);
                }
            }
        }
        let mut above = self.parents.clone();
        for at in 1..above.len() {
            while above[at] > semi[at] {
                above[at] = above[above[at]];
            }
        }
        above
    }
}

/// Paths up the forest, made shorter as they are walked.
struct Paths {
    above: Vec<usize>,
    least: Vec<usize>,
    stack: Vec<usize>,
}

impl Paths {
    /// The one with the least semidominator on the path from `from` up to what was done before `done`.
    fn least(&mut self, from: usize, done: usize, semi: &[usize]) -> usize {
        if from <= done {
            return from;
        }
        let mut at = from;
        while self.above[at] > done {
            self.stack.push(at);
            at = self.above[at];
        }
        while let Some(below) = self.stack.pop() {
            let over = self.above[below];
            if semi[self.least[over]] < semi[self.least[below]] {
                self.least[below] = self.least[over];
            }
            self.above[below] = self.above[over];
        }
        self.least[from]
    }
}

#[cfg(test)]
mod tests {
    use petgraph::algo::dominators::simple_fast;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_those_that_petgraph_finds(
            edges in prop::collection::vec((0..12_u32, 0..12_u32), 0..40),
        ) {
            let mut graph: DiGraph<(), ()> = DiGraph::new();
            for _ in 0..12 {
                graph.add_node(());
            }
            graph.extend_with_edges(edges);
            let root = NodeIndex::new(0);
            let (ours, theirs) = (Dominators::of(&graph, root), simple_fast(&graph, root));
            for below in graph.node_indices() {
                let above: Vec<_> = theirs.dominators(below).into_iter().flatten().collect();
                let found: Vec<_> = graph.node_indices().filter(|at| ours.dominates(*at, below)).collect();
                prop_assert_eq!(found.len(), above.len());
                prop_assert!(above.iter().all(|at| found.contains(at)));
            }
        }
    }
}
