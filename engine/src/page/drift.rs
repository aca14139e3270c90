//! Where a runbook and its page say different things.

use std::collections::BTreeMap;

use super::commands::{commands, on_host, shape, shape_of_step};
use super::quotes::quoted;
use super::ways::{Boxed, Ways};
use super::{Block, Flow, FlowArrow, words};
use crate::check::{Findings, codes};
use crate::diagnostic::Span;
use crate::source::document::{Differing, DocBody, DocNode, Document};
use crate::source::node::{Node, Value, Word};
use crate::step::Registry;

/// What the page says.
pub(super) struct Page<'a> {
    /// Its number among the files.
    pub(super) file: usize,
    pub(super) flow: Option<(&'a Block, &'a Flow)>,
    pub(super) shell: Vec<&'a Block>,
}

/// The comparison.
pub(super) struct Drift<'a> {
    pub(super) document: &'a Document,
    pub(super) registry: &'a Registry,
    pub(super) page: Page<'a>,
    /// Which differences that are on purpose were met.
    pub(super) used: Vec<bool>,
}

impl<'a> Drift<'a> {
    pub(super) fn report(mut self, findings: &mut Findings) {
        if let Some((block, flow)) = self.page.flow {
            self.boxes(block, flow, findings);
            self.ways(block, flow, findings);
        }
        self.commands(findings);
        for (differs, _) in self.document.differs.iter().zip(&self.used).filter(|(_, used)| !**used) {
            findings
                .error(
                    codes::PAGE_NO_DIFFERENCE,
                    "here the runbook and its page do not differ",
                    differs.which.span.clone(),
                )
                .label("no difference")
                .help("Remove this entry of `differs`, or mend what it names.");
        }
    }

    /// Whether a difference is on purpose.
    fn on_purpose(&mut self, what: Differing, same: impl Fn(&str) -> bool) -> bool {
        let mut met = false;
        for (differs, used) in self.document.differs.iter().zip(&mut self.used) {
            if differs.what == what && same(&differs.which.text) {
                (met, *used) = (true, true);
            }
        }
        met
    }

    fn place(&self, block: &Block, at: &std::ops::Range<usize>) -> Span {
        let at = block.place(at);
        Span { file: self.page.file, start: at.start, len: at.len() }
    }

    fn nodes_of<'d>(&self, id: &str) -> Vec<&'d DocNode>
    where
        'a: 'd,
    {
        let named = |node: &&DocNode| node.flow.as_ref().is_some_and(|flow| flow.text == id);
        self.document.nodes.iter().filter(named).collect()
    }

    fn boxes(&mut self, block: &Block, flow: &Flow, findings: &mut Findings) {
        for node in &self.document.nodes {
            let Some(written) = node.flow.as_ref().filter(|written| flow.get(&written.text).is_none()) else {
                continue;
            };
            let known: Vec<&str> = flow.boxes.iter().map(|one| one.id.as_str()).collect();
            let meant = findings.meant(&written.text, known.iter().copied());
            findings
                .error(
                    codes::PAGE_BOX,
                    format!("the page's flow has no box `{}`", written.text),
                    written.span.clone(),
                )
                .label("no such box")
                .help_meant(meant, "Its boxes are", known);
        }
        for one in &flow.boxes {
            let nodes = self.nodes_of(&one.id);
            let at = self.place(block, &one.at);
            let declared = self.on_purpose(Differing::Box, |which| which == one.id);
            if nodes.is_empty() && !declared {
                findings
                    .error(codes::PAGE_BOX, format!("no node is box `{}` of the page: {}", one.id, one.title), at)
                    .label("no node has this `flow`")
                    .help(format!("Write `flow: {}` at the node that does it, or `differs: [{{ box: {}, reason: … }}]`.", one.id, one.id));
                continue;
            }
            for node in nodes {
                let title = node.title.as_ref().unwrap_or(&node.name);
                let (says, wanted) = (words(&title.text), words(&one.title));
                if says != wanted && !self.on_purpose(Differing::Title, |which| words(which) == says) {
                    findings
                        .error(
                            codes::PAGE_TITLE,
                            format!(
                                "node `{}` says something else than box `{}` of the page",
                                node.name.text, one.id
                            ),
                            title.span.clone(),
                        )
                        .label("the node says this …")
                        .related(at.clone(), "… and the page this")
                        .help(format!(
                            "Write `title: \"{}\"`, or change the page.",
                            wanted.replace('"', "\\\"")
                        ));
                }
            }
        }
    }

    fn ways(&mut self, block: &Block, flow: &Flow, findings: &mut Findings) {
        let boxed = Boxed::of(self.document);
        let ways = boxed.ways(self.document);
        let mut drawn: BTreeMap<(String, String), Vec<FlowArrow>> = BTreeMap::new();
        for arrow in flow.between_boxes() {
            drawn.entry((arrow.from.clone(), arrow.to.clone())).or_default().push(arrow);
        }
        let there = |id: &str| flow.get(id).is_some();
        for ((from, to), arrows) in &drawn {
            let at = self.place(block, &arrows[0].at);
            let both = !self.nodes_of(from).is_empty() && !self.nodes_of(to).is_empty();
            match ways.get(&(from.clone(), to.clone())) {
                Some(_) => self.labels(block, &boxed, (from, to), arrows, &ways, findings),
                None if self.on_purpose(Differing::Arrow, |which| is_way(which, from, to)) || !both => {}
                None => {
                    let nodes = self.nodes_of(from);
                    let report = findings
                        .error(
                            codes::PAGE_WAY,
                            format!("the page leads from `{from}` to `{to}`, and the graph does not"),
                            at,
                        )
                        .label("no way through the graph leads along this arrow");
                    let report = match nodes.first() {
                        Some(node) => {
                            report.related(node.name.span.clone(), format!("no way from here to box `{to}`"))
                        }
                        None => report,
                    };
                    report.help(format!("Lead an edge there, or write `differs: [{{ arrow: \"{from} -> {to}\", reason: … }}]`."));
                }
            }
        }
        for ((from, to), edges) in &ways {
            let known = drawn.contains_key(&(from.clone(), to.clone())) || !there(from) || !there(to);
            if known || self.on_purpose(Differing::Way, |which| is_way(which, from, to)) {
                continue;
            }
            let at = flow.get(from).map(|one| self.place(block, &one.at));
            let report = findings
                .error(
                    codes::PAGE_WAY,
                    format!("the graph leads from `{from}` to `{to}`, and the page does not"),
                    edges[0].at.clone(),
                )
                .label(format!("this way leads to box `{to}`"))
                .help(format!(
                    "Draw the arrow, or write `differs: [{{ way: \"{from} -> {to}\", reason: … }}]`."
                ));
            if let Some(at) = at {
                report.related(at, format!("no arrow from here to `{to}`"));
            }
        }
        self.start(block, flow, &boxed, findings);
    }

    /// Where both begin: at a box to which no arrow leads, if there is one.
    fn start(&self, block: &Block, flow: &Flow, boxed: &Boxed<'_>, findings: &mut Findings) {
        let Some(start) = &self.document.start else { return };
        let arrows = flow.between_boxes();
        let first: Vec<_> = flow
            .boxes
            .iter()
            .filter(|one| arrows.iter().all(|arrow| arrow.to != one.id || arrow.from == one.id))
            .collect();
        let Some(begin) = first.first() else { return };
        let reached = boxed.reached(&start.text);
        let known: Vec<&String> = reached.iter().filter(|id| flow.get(id).is_some()).collect();
        if !known.is_empty() && known.iter().all(|id| first.iter().all(|one| one.id != **id)) {
            findings
                .error(codes::PAGE_WAY, "the graph begins elsewhere than the page", start.span.clone())
                .label(format!("leads first to box `{}`", reached.join("`, `")))
                .related(self.place(block, &begin.at), "the page begins here");
        }
    }

    /// The words on the arrows between two boxes, and those on the edges.
    fn labels(
        &self,
        block: &Block,
        boxed: &Boxed<'_>,
        (from, to): (&str, &str),
        arrows: &[FlowArrow],
        ways: &Ways,
        findings: &mut Findings,
    ) {
        let edges = ways.get(&(from.to_owned(), to.to_owned())).map_or(&[][..], Vec::as_slice);
        let on_edges: Vec<(String, &Word)> = edges
            .iter()
            .filter_map(|edge| edge.label.as_ref())
            .map(|label| (words(&label.text), label))
            .collect();
        for arrow in arrows {
            let Some(label) = &arrow.label else { continue };
            if on_edges.iter().all(|(text, _)| *text != words(label)) {
                let edge =
                    edges.first().map(|edge| edge.label.as_ref().map_or(&edge.at, |label| &label.span));
                let report = findings
                    .error(
                        codes::PAGE_LABEL,
                        format!("the page writes \"{label}\" on the arrow from `{from}` to `{to}`, and the graph does not"),
                        self.place(block, &arrow.at),
                    )
                    .label("the page says this …");
                // Where one edge leads to several boxes, its label would be on all of those ways.
                match edges.first().and_then(|edge| boxed.fork(&edge.to, to)) {
                    Some((fork, next)) => {
                        report
                            .help(format!(
                                "`{}` chooses between the arrows: make it box `{from}`, too (`flow: {from}`, with the same title), and write \
                                 `{{ to: {}, label: \"{label}\" }}` there.",
                                fork.name.text, next.to
                            ))
                            .related(next.at, "… and this is the edge that chooses it");
                    }
                    None => {
                        let report =
                            report.help(format!("Write `{{ to: …, label: \"{label}\" }}` at the edge."));
                        if let Some(at) = edge {
                            report.related(at.clone(), "… and the edge is this");
                        }
                    }
                }
            }
        }
        // What leads there by way of other nodes may do so for reasons of its own.
        let silent = edges.iter().find(|edge| edge.label.is_none() && boxed.is(&edge.to, to));
        let says = arrows.iter().all(|arrow| arrow.label.is_some());
        if let (Some(edge), Some(label)) = (silent.filter(|_| says), &arrows[0].label) {
            findings
                .error(
                    codes::PAGE_LABEL,
                    format!("the page leads from `{from}` to `{to}` only by \"{label}\", and this edge says nothing"),
                    edge.at.clone(),
                )
                .label("an edge without a label")
                .related(self.place(block, &arrows[0].at), "the page says this")
                .help(format!("Write `{{ to: {}, label: \"{label}\" }}`, or lead it elsewhere.", edge.to));
        }
        for (text, label) in on_edges {
            if arrows.iter().all(|arrow| arrow.label.as_deref().map(words).as_ref() != Some(&text)) {
                findings
                    .error(
                        codes::PAGE_LABEL,
                        format!("the graph writes \"{text}\" on the way from `{from}` to `{to}`, and the page does not"),
                        label.span.clone(),
                    )
                    .label("the graph says this …")
                    .related(self.place(block, &arrows[0].at), "… and the page this");
            }
        }
    }

    fn commands(&mut self, findings: &mut Findings) {
        if self.page.shell.is_empty() {
            return;
        }
        let mut run: Vec<(Ran, String, Span)> = Vec::new();
        for node in &self.document.nodes {
            self.of_node(node, &mut |host, text, at| {
                for (command, _) in commands(text) {
                    let shape = shape_of_step(&command);
                    run.push((Ran { host: host.map(shape_of_step), shape }, command, at.clone()));
                }
            });
        }
        let mut written: Vec<Ran> = Vec::new();
        for block in self.page.shell.clone() {
            for (command, at) in commands(&block.text) {
                let (host, there) = match on_host(&command) {
                    Some((host, there)) => (Some(shape(host)), shape(there)),
                    None => (None, shape(&command)),
                };
                // A page that speaks of one host need not say `ssh` every time.
                let same = |run: &&Ran| run.shape == there && (host.is_none() || run.host == host);
                let held: Vec<&Ran> = run.iter().map(|(run, _, _)| run).filter(same).collect();
                written.extend(held.iter().map(|run| (*run).clone()));
                let declared = self.on_purpose(Differing::Command, |which| which.trim() == command);
                if held.is_empty() && !declared {
                    findings
                        .error(codes::PAGE_COMMAND, "no step runs this command of the page", self.place(block, &at))
                        .label("only on the page")
                        .help("Change the step or the page, or write it under `differs` as `command`, with the reason.");
                }
            }
        }
        for (ran, command, at) in run {
            if !written.contains(&ran)
                && !self.on_purpose(Differing::Command, |which| which.trim() == command)
            {
                findings
                    .error(codes::PAGE_COMMAND, format!("the page does not have this command: {command}"), at)
                    .label("only in the runbook")
                    .help("Write it into a shell block of the page, or under `differs` as `command`, with the reason.");
            }
        }
    }

    /// The shell text and the words of a program that a node runs as its author wrote them.
    fn of_node(&self, node: &DocNode, tell: &mut impl FnMut(Option<&str>, &str, &Span)) {
        let DocBody::Step(step) = &node.body else { return };
        let Some(spec) = self.registry.get(&step.kind.text).map(|found| found.spec()) else { return };
        let entries = step.with.as_ref().and_then(Node::entries).unwrap_or_default();
        let property = |name: &str| spec.params.get("properties").and_then(|all| all.get(name));
        // Only a step that takes shell text runs what its author wrote.
        let shell = |name: &str| property(name).is_some_and(|one| one.get("x-shell").is_some());
        if !entries.iter().any(|(key, _)| shell(&key.text)) && property("run").is_none() {
            return;
        }
        let host = entries.iter().find(|(key, _)| key.text == "host").and_then(|(_, host)| host.text());
        for (key, value) in entries {
            match &value.value {
                Value::Str(text) if shell(&key.text) => tell(host, text, &value.span),
                Value::Seq(items) if key.text == "argv" => {
                    let words: Vec<String> = items.iter().filter_map(Node::text).map(quoted).collect();
                    tell(host, &words.join(" "), &key.span);
                }
                _ => {}
            }
        }
    }
}

/// A command as it is compared.
#[derive(Clone, PartialEq)]
struct Ran {
    host: Option<String>,
    shape: String,
}

/// Whether `K -> A` names this way.
fn is_way(which: &str, from: &str, to: &str) -> bool {
    which.split_once("->").is_some_and(|(a, b)| a.trim() == from && b.trim() == to)
}
