//! The ways from box to box through a graph: nodes that are no box of the page are passed over.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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

    /// All ways from box to box. Nodes that are one box together may follow each other: that is no way of the box to itself,
    /// unless it closes a loop, or leads to where the box is entered from others, too.
    pub(super) fn ways(&self, document: &'d Document) -> Ways {
        let edges = || {
            let of_box =
                document.nodes.iter().filter_map(|node| Some((node, node.flow.as_ref()?.text.as_str())));
            of_box.flat_map(|(node, from)| leaving(node).into_iter().map(move |edge| (node, from, edge)))
        };
        let mut entered: HashSet<&str> = HashSet::new();
        for (_, from, edge) in edges() {
            let others = self.met(&edge.to).into_iter().filter(|(to, _)| *to != from);
            entered.extend(others.map(|(_, node)| node.name.text.as_str()));
        }
        let mut ways = Ways::new();
        for (node, from, edge) in edges() {
            let leads = |(to, next): &(&str, &'d DocNode)| {
                *to != from || entered.contains(next.name.text.as_str()) || self.returns(next, node)
            };
            let met = self.met(&edge.to).into_iter().filter(leads);
            let boxes: BTreeSet<&str> = met.map(|(to, _)| to).collect();
            for to in boxes {
                ways.entry((from.to_owned(), to.to_owned())).or_default().push(edge.clone());
            }
        }
        ways
    }

    /// Whether the way from a node leads back to another one of its box without leaving the box.
    fn returns(&self, next: &'d DocNode, first: &DocNode) -> bool {
        let (mut seen, mut open) = (HashSet::new(), vec![next]);
        while let Some(node) = open.pop() {
            if node.name.text == first.name.text {
                return true;
            }
            let other = node
                .flow
                .as_ref()
                .is_some_and(|flow| first.flow.as_ref().is_none_or(|own| own.text != flow.text));
            if !other && seen.insert(node.name.text.as_str()) {
                open.extend(leaving(node).iter().filter_map(|edge| self.nodes.get(edge.to.as_str())));
            }
        }
        false
    }

    /// The node without a box at which ways to this box part from others, of those that begin at a node; and the edge that it
    /// takes to this one. None if all lead there.
    pub(super) fn fork(&self, name: &str, to: &str) -> Option<(&'d DocNode, Leaving)> {
        let only = |name: &str| self.reached(name).iter().all(|one| one == to);
        let (mut seen, mut name) = (HashSet::new(), name.to_owned());
        loop {
            let node = *self.nodes.get(name.as_str()).filter(|node| node.flow.is_none())?;
            if only(&name) || !seen.insert(name) {
                return None;
            }
            let mut edges = leaving(node);
            edges.retain(|edge| self.reached(&edge.to).iter().any(|one| one == to));
            let whole = edges.iter().position(|edge| only(&edge.to));
            let next = edges.into_iter().nth(whole.unwrap_or(0))?;
            if whole.is_some() {
                return Some((node, next));
            }
            name = next.to;
        }
    }

    /// Whether this node is the box.
    pub(super) fn is(&self, name: &str, id: &str) -> bool {
        self.nodes.get(name).and_then(|node| node.flow.as_ref()).is_some_and(|flow| flow.text == id)
    }

    /// The boxes that come next on the ways that begin at a node: itself, if it is one.
    pub(super) fn reached(&self, name: &str) -> Vec<String> {
        let boxes: BTreeSet<&str> = self.met(name).into_iter().map(|(flow, _)| flow).collect();
        boxes.into_iter().map(str::to_owned).collect()
    }

    /// The same with the nodes by which each box is entered.
    fn met(&self, name: &str) -> Vec<(&'d str, &'d DocNode)> {
        let (mut found, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![name.to_owned()]);
        while let Some(name) = open.pop() {
            let Some(node) = self.nodes.get(name.as_str()) else { continue };
            if !seen.insert(name) {
                continue;
            }
            match &node.flow {
                Some(flow) => found.push((flow.text.as_str(), *node)),
                None => open.extend(leaving(node).into_iter().map(|edge| edge.to)),
            }
        }
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
