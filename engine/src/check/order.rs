//! Does every output that a template reads exist by then?
//!
//! Each node counts twice: when a run comes to it, and when it has its output. Outcomes leave from the second;
//! `declined` and `on_failure` leave from the first. The output of `x` is there for sure when a run comes to `y` if
//! the second half of `x` dominates the first half of `y`.

use std::collections::VecDeque;

use hashbrown::HashMap;
use petgraph::Direction;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;

use super::dominators::Dominators;
use super::template::Read;
use super::{Findings, codes};
use crate::diagnostic::Span;
use crate::source::document::{DocBody, DocFailure, DocNext, DocNode, Document};
use crate::source::node::Word;

/// Reads for which a path is looked for; with more, each is still reported. Many mistakes in a large file must not
/// make the check slow.
const MOST_PATHS: usize = 100;
/// Nodes of a path that are named from its beginning, and from its end, when not all of them are.
const SHOWN: (usize, usize) = (3, 4);

/// Reports outputs that cannot be there, and those that are not there on every path. Every target exists.
pub(super) fn check(document: &Document, reads: &[Read], findings: &mut Findings) {
    let index: HashMap<&str, usize> =
        document.nodes.iter().enumerate().map(|(at, node)| (node.name.text.as_str(), at)).collect();
    let Some(start) = document.start.as_ref().and_then(|start| index.get(start.text.as_str())) else {
        return;
    };
    let graph = halves(document, &index);
    let tree = Dominators::of(&graph, comes(*start));
    let mut looked_for = 0;
    for read in reads {
        let Some(from) = index.get(read.from.as_str()).copied() else { continue };
        if tree.dominates(has(from), comes(read.by)) {
            continue;
        }
        let (name, by) = (&document.nodes[from].name, &document.nodes[read.by].name);
        let help =
            format!("Lead every path through `{0}`, or ask first: `… if {0} is known else …`.", name.text);
        looked_for += 1;
        if looked_for > MOST_PATHS {
            findings
                .error(
                    codes::TEMPLATE_MAY_NOT_HAVE_RUN,
                    format!("on some path `{}` has not run when `{}` reads it", name.text, by.text),
                    read.at.clone(),
                )
                .label("no output on that path")
                .related(name.span.clone(), "not every path passes here")
                .help(help);
            continue;
        }
        let before = leading_to(&graph, comes(read.by));
        if !before[has(from).index()] {
            findings
                .error(
                    codes::TEMPLATE_NEVER_RAN,
                    format!("`{}` never runs before `{}`", name.text, by.text),
                    read.at.clone(),
                )
                .label("nothing to read yet")
                .related(name.span.clone(), "no path leads from here to there")
                .help("Read an earlier node, or change the order of the flow.");
            continue;
        }
        let path = past(&graph, comes(*start), has(from), comes(read.by));
        let report = findings
            .error(
                codes::TEMPLATE_MAY_NOT_HAVE_RUN,
                format!(
                    "`{}` has not run when `{}` reads it on the path {}",
                    name.text,
                    by.text,
                    told(document, &graph, *start, &path)
                ),
                read.at.clone(),
            )
            .label("no output on that path")
            .related(name.span.clone(), "this path does not get an output here");
        let report = match passes_by(&graph, &path, has(from)).and_then(|edge| graph[edge].at) {
            Some(edge) => report.related(edge.clone(), "here it leaves the paths that do"),
            None => report,
        };
        report.help(help);
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

/// The way from one half to another.
#[derive(Clone, Copy)]
struct Way<'d> {
    /// The outcome, or what else leads on; empty within a node and for a single target.
    word: &'d str,
    /// Where it is written; nowhere within a node.
    at: Option<&'d Span>,
}

type Halves<'d> = DiGraph<(), Way<'d>>;

fn halves<'d>(document: &'d Document, index: &HashMap<&str, usize>) -> Halves<'d> {
    let mut graph = DiGraph::with_capacity(2 * document.nodes.len(), 3 * document.nodes.len());
    for _ in 0..2 * document.nodes.len() {
        graph.add_node(());
    }
    for (at, node) in document.nodes.iter().enumerate() {
        graph.add_edge(comes(at), has(at), Way { word: "", at: None });
        let (with_output, without) = targets(node);
        for (from, edges) in [(has(at), with_output), (comes(at), without)] {
            for (word, to) in edges {
                let Some(target) = index.get(to.text.as_str()) else { continue };
                graph.add_edge(from, comes(*target), Way { word, at: Some(&to.span) });
            }
        }
    }
    graph
}

/// Where a node leads with its output, and where without; each with the word by which it does.
#[expect(clippy::type_complexity, reason = "two lists of the same")]
fn targets(node: &DocNode) -> (Vec<(&str, &Word)>, Vec<(&str, &Word)>) {
    fn edges(next: &DocNext) -> Vec<(&str, &Word)> {
        let otherwise = if next.single { "" } else { "otherwise" };
        let named = next.edges.iter().map(|edge| (edge.outcome.text.as_str(), &edge.to));
        named.chain(next.otherwise.iter().map(|to| (otherwise, to))).collect()
    }
    match &node.body {
        DocBody::Step(step) => {
            let mut without: Vec<(&str, &Word)> = step.declined.iter().map(|to| ("declined", to)).collect();
            if let DocFailure::Goto(to) = &step.on_failure {
                without.push(("on_failure", to));
            }
            (edges(&step.next), without)
        }
        DocBody::Runbook(run) => (edges(&run.next), Vec::new()),
        DocBody::End { .. } | DocBody::Broken => (Vec::new(), Vec::new()),
    }
}

/// From where `to` can be reached.
fn leading_to(graph: &Halves<'_>, to: NodeIndex) -> Vec<bool> {
    let mut found = vec![false; graph.node_count()];
    let mut stack: Vec<NodeIndex> = graph.neighbors_directed(to, Direction::Incoming).collect();
    while let Some(at) = stack.pop() {
        if !std::mem::replace(&mut found[at.index()], true) {
            stack.extend(graph.neighbors_directed(at, Direction::Incoming));
        }
    }
    found
}

/// A shortest path from `start` to `to` that does not touch `without`; empty if they are the same.
fn past(graph: &Halves<'_>, start: NodeIndex, without: NodeIndex, to: NodeIndex) -> Vec<EdgeIndex> {
    let mut came: Vec<Option<EdgeIndex>> = vec![None; graph.node_count()];
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            break;
        }
        for edge in graph.edges(at) {
            let next = edge.target();
            if next != without && next != start && came[next.index()].is_none() {
                came[next.index()] = Some(edge.id());
                queue.push_back(next);
            }
        }
    }
    let back = |edge: &EdgeIndex| graph.edge_endpoints(*edge).and_then(|(from, _)| came[from.index()]);
    let mut path: Vec<EdgeIndex> = std::iter::successors(came[to.index()], back).collect();
    path.reverse();
    path
}

/// The edge of a path after which `has` can no longer be reached without coming to the end of the path first.
fn passes_by(graph: &Halves<'_>, path: &[EdgeIndex], has: NodeIndex) -> Option<EdgeIndex> {
    let (_, end) = graph.edge_endpoints(*path.last()?)?;
    let mut leads = vec![false; graph.node_count()];
    let mut stack = vec![has];
    while let Some(at) = stack.pop() {
        if at != end && !std::mem::replace(&mut leads[at.index()], true) {
            stack.extend(graph.neighbors_directed(at, Direction::Incoming));
        }
    }
    let leaves = |edge: &&EdgeIndex| {
        graph.edge_endpoints(**edge).is_some_and(|(from, to)| leads[from.index()] && !leads[to.index()])
    };
    path.iter().rev().find(leaves).copied()
}

/// A path in words: `a (found) → b (declined) → c`.
fn told(document: &Document, graph: &Halves<'_>, start: usize, path: &[EdgeIndex]) -> String {
    let name = |at: usize| document.nodes[at].name.text.to_string();
    let mut names = vec![name(start)];
    for edge in path.iter().copied().filter(|edge| graph[*edge].at.is_some()) {
        let Some((_, to)) = graph.edge_endpoints(edge) else { continue };
        let word = graph[edge].word;
        if let Some(last) = names.last_mut().filter(|_| !word.is_empty()) {
            *last = format!("{last} ({word})");
        }
        names.push(name(to.index() / 2));
    }
    if names.len() > SHOWN.0 + SHOWN.1 {
        let last = names.len() - SHOWN.1;
        names.splice(SHOWN.0..last, ["…".to_owned()]);
    }
    names.join(" → ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The dominators and the search for a path past a node are two answers to one question.
        #[test]
        fn there_is_a_path_past_a_node_exactly_if_it_does_not_dominate(
            edges in prop::collection::vec((0..7_usize, 0..7_usize, any::<bool>()), 0..16),
            from in 0..7_usize,
            to in 1..7_usize,
        ) {
            let mut graph: Halves<'_> = DiGraph::new();
            for _ in 0..14 {
                graph.add_node(());
            }
            let way = Way { word: "", at: None };
            for at in 0..7 {
                graph.add_edge(comes(at), has(at), way);
            }
            for (a, b, with_output) in edges {
                graph.add_edge(if with_output { has(a) } else { comes(a) }, comes(b), way);
            }
            let tree = Dominators::of(&graph, comes(0));
            let reached = leading_to(&graph, comes(to))[comes(0).index()];
            let path = past(&graph, comes(0), has(from), comes(to));
            prop_assert_eq!(path.is_empty(), !reached || tree.dominates(has(from), comes(to)));
            let ends: Vec<_> = path.iter().filter_map(|edge| graph.edge_endpoints(*edge)).collect();
            prop_assert!(ends.iter().all(|(a, b)| *a != has(from) && *b != has(from)));
            prop_assert!(ends.windows(2).all(|pair| pair[0].1 == pair[1].0));
            if let (Some(first), Some(last)) = (ends.first(), ends.last()) {
                prop_assert_eq!((first.0, last.1), (comes(0), comes(to)));
            }
        }
    }
}
