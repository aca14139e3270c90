//! The graph of one runbook: does every edge lead somewhere, is every node reached, does every path end?

use hashbrown::HashMap;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Bfs, EdgeRef, Reversed};

use super::{Findings, codes};
use crate::source::document::{DocBody, DocFailure, DocNext, DocNode, Document};
use crate::source::node::Word;

/// Reports what is wrong with the flow. `whole`: every node could be read and has an edge for every outcome;
/// otherwise what seems unreachable may only hang on what is missing.
pub(super) fn check(document: &Document, mut whole: bool, findings: &mut Findings) {
    let index: HashMap<&str, usize> =
        document.nodes.iter().enumerate().map(|(at, node)| (node.name.text.as_str(), at)).collect();
    let mut flow =
        Flow { document, graph: DiGraph::with_capacity(document.nodes.len(), document.nodes.len() * 2) };
    for at in 0..document.nodes.len() {
        flow.graph.add_node(at);
    }
    let mut find = |word: &Word, what: &str, findings: &mut Findings| {
        let found = index.get(word.text.as_str()).copied();
        if found.is_some() {
            return found;
        }
        let meant = findings.meant(&word.text, index.keys().copied());
        let report = findings
            .error(
                codes::TARGET_UNKNOWN,
                format!("{what} leads to `{}`, which is no node", word.text),
                word.span.clone(),
            )
            .label("unknown node");
        match meant {
            Some(meant) => report.help(format!("Did you mean `{meant}`?")),
            None => report.help("Write the name of a node of this runbook, or add that node."),
        };
        // The node that was probably meant is not called unreachable as well.
        let meant = meant.and_then(|meant| index.get(meant).copied());
        whole &= meant.is_some();
        meant
    };
    for (at, node) in document.nodes.iter().enumerate() {
        for (word, what) in targets(node) {
            if let Some(to) = find(word, what, findings) {
                flow.graph.add_edge(NodeIndex::new(at), NodeIndex::new(to), ());
            }
        }
        ambiguous(node, &index, document, findings);
    }
    let start = document.start.as_ref().and_then(|word| find(word, "`start`", findings));
    if let (Some(start), true) = (start, whole) {
        flow.unreachable(NodeIndex::new(start), findings);
        flow.endless(NodeIndex::new(start), findings);
    }
    flow.loops(findings);
}

/// `on_failure: stop` beside a node named `stop`.
fn ambiguous(node: &DocNode, index: &HashMap<&str, usize>, document: &Document, findings: &mut Findings) {
    let DocBody::Step(step) = &node.body else { return };
    let (word, span) = match &step.on_failure {
        DocFailure::Stop(span) => ("stop", span),
        DocFailure::Unwind(span) => ("unwind", span),
        DocFailure::Default | DocFailure::Goto(_) => return,
    };
    if let Some(other) = index.get(word) {
        findings
            .warning(
                codes::TARGET_AMBIGUOUS,
                format!("`{word}` is a word here, not the node of that name"),
                span.clone(),
            )
            .label("the word wins")
            .related(document.nodes[*other].name.span.clone(), "this node is not meant")
            .help("Rename the node if the edge was meant to lead to it.");
    }
}

/// Where a node leads.
pub(super) fn targets(node: &DocNode) -> Vec<(&Word, &'static str)> {
    fn edges(next: &DocNext) -> impl Iterator<Item = (&Word, &'static str)> {
        let otherwise = if next.single { "`next`" } else { "`otherwise`" };
        next.edges
            .iter()
            .map(|edge| (&edge.to, "this edge"))
            .chain(next.otherwise.as_ref().map(|to| (to, otherwise)))
    }
    match &node.body {
        DocBody::Step(step) => {
            let failure = match &step.on_failure {
                DocFailure::Goto(to) => Some((to, "`on_failure`")),
                DocFailure::Default | DocFailure::Stop(_) | DocFailure::Unwind(_) => None,
            };
            let declined = step.declined.as_ref().map(|to| (to, "`declined`"));
            edges(&step.next).chain(failure).chain(declined).collect()
        }
        DocBody::Runbook(run) => edges(&run.next).collect(),
        DocBody::End { .. } | DocBody::Broken => Vec::new(),
    }
}

struct Flow<'d> {
    document: &'d Document,
    graph: DiGraph<usize, ()>,
}

impl<'d> Flow<'d> {
    fn node(&self, at: NodeIndex) -> &'d DocNode {
        &self.document.nodes[at.index()]
    }

    fn reached(&self, start: NodeIndex) -> Vec<bool> {
        let mut reached = vec![false; self.graph.node_count()];
        let mut walk = Bfs::new(&self.graph, start);
        while let Some(at) = walk.next(&self.graph) {
            reached[at.index()] = true;
        }
        reached
    }

    fn unreachable(&self, start: NodeIndex, findings: &mut Findings) {
        let reached = self.reached(start);
        for node in
            self.document.nodes.iter().zip(&reached).filter(|(_, reached)| !**reached).map(|(node, _)| node)
        {
            findings
                .error(
                    codes::FLOW_UNREACHABLE,
                    format!("no path leads to `{}`", node.name.text),
                    node.name.span.clone(),
                )
                .label("never runs")
                .help("Lead an edge to it, or remove it.");
        }
    }

    /// Reports, once for each place where a run would be caught, that no end can be reached.
    fn endless(&self, start: NodeIndex, findings: &mut Findings) {
        let mut can_end = vec![false; self.graph.node_count()];
        let reversed = Reversed(&self.graph);
        let mut stack: Vec<NodeIndex> = Vec::new();
        for at in self.graph.node_indices() {
            if matches!(self.node(at).body, DocBody::End { .. }) {
                can_end[at.index()] = true;
                stack.push(at);
            }
        }
        while let Some(at) = stack.pop() {
            for before in petgraph::visit::IntoNeighbors::neighbors(reversed, at) {
                if !std::mem::replace(&mut can_end[before.index()], true) {
                    stack.push(before);
                }
            }
        }
        let reached = self.reached(start);
        for mut trap in kosaraju_scc(&self.graph) {
            trap.sort_unstable();
            let first = trap.first().copied().unwrap_or(start);
            let leaves =
                |at: &NodeIndex| self.graph.neighbors(*at).any(|to| trap.binary_search(&to).is_err());
            if can_end[first.index()] || !reached[first.index()] || trap.iter().any(leaves) {
                continue;
            }
            let node = self.node(first);
            findings
                .error(
                    codes::FLOW_NO_END,
                    format!("from `{}` no end can be reached", node.name.text),
                    node.name.span.clone(),
                )
                .label("a run that comes here never ends")
                .help("Lead one of its outcomes to an `end`, if only to `end: escalated`.");
        }
    }

    /// Reports loops in which no node limits its visits: what is left of the graph without the limited nodes must
    /// have no cycle.
    fn loops(&self, findings: &mut Findings) {
        let limited = |at: NodeIndex| match &self.node(at).body {
            DocBody::Step(step) => step.max_visits.is_some(),
            DocBody::Runbook(run) => run.max_visits.is_some(),
            DocBody::End { .. } | DocBody::Broken => false,
        };
        let mut free = DiGraph::<(), ()>::with_capacity(self.graph.node_count(), self.graph.edge_count());
        self.graph.node_indices().for_each(|_| {
            free.add_node(());
        });
        for edge in self.graph.edge_references() {
            if !limited(edge.source()) && !limited(edge.target()) {
                free.add_edge(edge.source(), edge.target(), ());
            }
        }
        let mut found: Vec<Vec<NodeIndex>> = kosaraju_scc(&free)
            .into_iter()
            .filter_map(|mut component| {
                component.sort_unstable();
                shortest_cycle(&free, &component)
            })
            .collect();
        found.sort_unstable();
        for cycle in found {
            let names: Vec<&str> =
                cycle.iter().chain(cycle.first()).map(|at| self.node(*at).name.text.as_str()).collect();
            let Some(last) = cycle.last().map(|at| self.node(*at)) else { continue };
            let message = match names.len() {
                0..=9 => format!("this loop has no bound: {}", names.join(" → ")),
                many => format!(
                    "this loop of {} nodes has no bound: {} → … → {}",
                    many - 1,
                    names[..4].join(" → "),
                    names[many - 2..].join(" → ")
                ),
            };
            let mut report = findings
                .error(codes::FLOW_UNBOUNDED_LOOP, message, last.name.span.clone())
                .label(if cycle.len() == 1 { "leads back to itself" } else { "leads back" })
                .help(format!(
                    "Limit one of its nodes, for example `max_visits: 5` at `{}`.",
                    last.name.text
                ));
            for at in cycle.iter().take(cycle.len() - 1).take(4) {
                report = report.related(self.node(*at).name.span.clone(), "in the loop");
            }
        }
    }
}

/// A shortest cycle through the first node of a strongly connected component; `None` if there is none.
fn shortest_cycle(graph: &DiGraph<(), ()>, component: &[NodeIndex]) -> Option<Vec<NodeIndex>> {
    let first = *component.first()?;
    let mut before: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut queue = std::collections::VecDeque::from([first]);
    while let Some(at) = queue.pop_front() {
        for next in graph.neighbors(at) {
            if next == first {
                let mut cycle = vec![at];
                while let Some(earlier) =
                    cycle.last().filter(|last| **last != first).and_then(|last| before.get(last))
                {
                    cycle.push(*earlier);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if component.binary_search(&next).is_ok() && !before.contains_key(&next) {
                before.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}
