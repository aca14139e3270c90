//! Does every output that a template reads exist by then?
//!
//! Each node counts twice: when a run comes to it, and when it has its output. Outcomes leave from the second;
//! `declined` and `on_failure` leave from the first. The output of `x` is there for sure when a run comes to `y` if
//! the second half of `x` dominates the first half of `y`.

use std::collections::HashMap;

use petgraph::algo::dominators::{Dominators, simple_fast};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Bfs, VisitMap, Visitable};

use super::template::Read;
use super::{Findings, codes};
use crate::source::document::{DocBody, DocFailure, DocNext, DocNode, Document};

/// Nodes for which it is found out whether they can have run at all; the rest may have.
const MOST_SEARCHES: usize = 100;

/// Reports outputs that cannot be there, and those that may not be. Every target exists.
pub(super) fn check(document: &Document, reads: &[Read], findings: &mut Findings) {
    let index: HashMap<&str, usize> =
        document.nodes.iter().enumerate().map(|(at, node)| (node.name.text.as_str(), at)).collect();
    let graph = halves(document, &index);
    let Some(start) = document.start.as_ref().and_then(|start| index.get(start.text.as_str())) else {
        return;
    };
    let tree = Tree::new(&graph, &simple_fast(&graph, comes(*start)));
    let mut searched: HashMap<usize, <DiGraph<(), ()> as Visitable>::Map> = HashMap::new();
    for read in reads {
        let Some(from) = index.get(read.from.as_str()).copied() else { continue };
        if tree.dominates(has(from), comes(read.by)) {
            continue;
        }
        let reachable = match searched.len() < MOST_SEARCHES || searched.contains_key(&from) {
            true => searched.entry(from).or_insert_with(|| after(&graph, from)).is_visited(&comes(read.by)),
            false => true,
        };
        let (name, by) = (&document.nodes[from].name, &document.nodes[read.by].name);
        if reachable {
            findings
                .warning(
                    codes::TEMPLATE_MAY_NOT_HAVE_RUN,
                    format!("`{}` may not have run when `{}` reads it", name.text, by.text),
                    read.at.clone(),
                )
                .label("no output on some paths")
                .related(name.span.clone(), "not every path passes here")
                .help(format!(
                    "On such a path this node fails. Lead every path through `{0}`, or ask first: `… if {0} is known else …`.",
                    name.text
                ));
        } else {
            findings
                .error(
                    codes::TEMPLATE_NEVER_RAN,
                    format!("`{}` never runs before `{}`", name.text, by.text),
                    read.at.clone(),
                )
                .label("nothing to read yet")
                .related(name.span.clone(), "no path leads from here to there")
                .help("Read an earlier node, or change the order of the flow.");
        }
    }
}

/// A run comes to a node.
fn comes(at: usize) -> NodeIndex {
    NodeIndex::new(2 * at)
}

/// A node has its output.
fn has(at: usize) -> NodeIndex {
    NodeIndex::new(2 * at + 1)
}

fn halves(document: &Document, index: &HashMap<&str, usize>) -> DiGraph<(), ()> {
    let mut graph = DiGraph::with_capacity(2 * document.nodes.len(), 3 * document.nodes.len());
    for _ in 0..2 * document.nodes.len() {
        graph.add_node(());
    }
    for (at, node) in document.nodes.iter().enumerate() {
        graph.add_edge(comes(at), has(at), ());
        let (with_output, without) = targets(node);
        for (from, names) in [(has(at), with_output), (comes(at), without)] {
            for to in names.into_iter().filter_map(|name| index.get(name)) {
                graph.add_edge(from, comes(*to), ());
            }
        }
    }
    graph
}

/// Where a node leads with its output, and where without.
fn targets(node: &DocNode) -> (Vec<&str>, Vec<&str>) {
    fn edges(next: &DocNext) -> Vec<&str> {
        next.edges.iter().map(|edge| &edge.to).chain(&next.otherwise).map(|to| to.text.as_str()).collect()
    }
    match &node.body {
        DocBody::Step(step) => {
            let mut without: Vec<&str> = step.declined.iter().map(|to| to.text.as_str()).collect();
            if let DocFailure::Goto(to) = &step.on_failure {
                without.push(&to.text);
            }
            (edges(&step.next), without)
        }
        DocBody::Runbook(run) => (edges(&run.next), Vec::new()),
        DocBody::End { .. } | DocBody::Broken => (Vec::new(), Vec::new()),
    }
}

/// Everything that can come after a node has its output.
fn after(graph: &DiGraph<(), ()>, from: usize) -> <DiGraph<(), ()> as Visitable>::Map {
    let mut walk = Bfs::new(graph, has(from));
    while walk.next(graph).is_some() {}
    walk.discovered
}

/// The dominator tree, numbered so that asking for an ancestor takes constant time.
struct Tree {
    /// When a walk through the tree enters and leaves each node.
    times: Vec<(u32, u32)>,
}

impl Tree {
    fn new(graph: &DiGraph<(), ()>, dominators: &Dominators<NodeIndex>) -> Self {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); graph.node_count()];
        for at in graph.node_indices() {
            if let Some(above) = dominators.immediate_dominator(at) {
                children[above.index()].push(at.index());
            }
        }
        let mut times = vec![(0, 0); graph.node_count()];
        let mut clock = 0;
        let mut stack = vec![(dominators.root().index(), false)];
        while let Some((at, leaving)) = stack.pop() {
            clock += 1;
            if leaving {
                times[at].1 = clock;
                continue;
            }
            times[at].0 = clock;
            stack.push((at, true));
            stack.extend(children[at].iter().map(|child| (*child, false)));
        }
        Self { times }
    }

    fn dominates(&self, above: NodeIndex, below: NodeIndex) -> bool {
        let (above, below) = (self.times[above.index()], self.times[below.index()]);
        above.0 != 0 && above.0 <= below.0 && below.1 <= above.1
    }
}
