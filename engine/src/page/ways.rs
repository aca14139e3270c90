//! The ways from box to box through a graph: nodes that are no box of the page are passed over.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::diagnostic::Span;
use crate::source::document::{DocBody, DocFailure, DocNext, DocNode, Document};
use crate::source::node::Word;

/// One edge by which a way begins.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    pub(super) to: String,
    pub(super) at: Span,
    pub(super) label: Option<Word>,
}

/// Ways by the boxes between which they lead, each with the edges by which it begins.
pub(super) type Ways = BTreeMap<(String, String), Vec<Leaving>>;

/// A graph from box to box.
pub(super) struct Boxed<'d> {
    nodes: HashMap<&'d str, &'d DocNode>,
}

impl<'d> Boxed<'d> {
    pub(super) fn of(document: &'d Document) -> Self {
        Self { nodes: document.nodes.iter().map(|node| (node.name.text.as_str(), node)).collect() }
    }

    /// All ways from box to box.
    pub(super) fn ways(&self, document: &Document) -> Ways {
        let mut ways = Ways::new();
        for node in &document.nodes {
            let Some(from) = &node.flow else { continue };
            for edge in leaving(node) {
                for to in self.reached(&edge.to) {
                    ways.entry((from.text.clone().into(), to)).or_default().push(edge.clone());
                }
            }
        }
        ways
    }

    /// Whether this node is the box.
    pub(super) fn is(&self, name: &str, id: &str) -> bool {
        self.nodes.get(name).and_then(|node| node.flow.as_ref()).is_some_and(|flow| flow.text == id)
    }

    /// The boxes that come next on the ways that begin at a node: itself, if it is one.
    pub(super) fn reached(&self, name: &str) -> Vec<String> {
        let (mut found, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![name.to_owned()]);
        while let Some(name) = open.pop() {
            let Some(node) = self.nodes.get(name.as_str()) else { continue };
            if !seen.insert(name) {
                continue;
            }
            match &node.flow {
                Some(flow) => found.push(flow.text.to_string()),
                None => open.extend(leaving(node).into_iter().map(|edge| edge.to)),
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// The edges of a node: by outcome, by "no" at its gate, by its failure.
pub(super) fn leaving(node: &DocNode) -> Vec<Leaving> {
    let plain = |word: &Word| Leaving { to: word.text.clone().into(), at: word.span.clone(), label: None };
    let of_next = |next: &DocNext| {
        let edges = next.edges.iter().map(|edge| Leaving { label: edge.label.clone(), ..plain(&edge.to) });
        edges.chain(next.otherwise.iter().map(plain)).collect::<Vec<_>>()
    };
    match &node.body {
        DocBody::Step(step) => {
            let mut all = of_next(&step.next);
            all.extend(step.declined.iter().map(plain));
            if let DocFailure::Goto(to) = &step.on_failure {
                all.push(plain(to));
            }
            all
        }
        DocBody::Runbook(run) => of_next(&run.next),
        DocBody::End { .. } | DocBody::Broken => Vec::new(),
    }
}
