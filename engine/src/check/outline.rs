//! What an editor asks of a runbook, finished or not: its nodes, every place that names one, and what the names in
//! templates stand for.

use serde_json::Value as Json;

use super::Findings;
use super::flow::targets;
use super::runbook::{fanned, names};
use super::schema::{self, Inside};
use super::template::{Explained, Names, Record, explain};
use crate::diagnostic::{SourceFile, Span};
use crate::source::convert::document;
use crate::source::document::{DocBody, DocNode, Document};
use crate::source::parse;
use crate::step::Registry;

/// A node as an editor lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineNode {
    /// Its name.
    pub name: String,
    /// Where it is defined: its key.
    pub at: Span,
    /// What it does, for people.
    pub about: String,
}

/// A runbook as an editor sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The nodes, in written order.
    pub nodes: Vec<OutlineNode>,
    /// Every place that names a node, with the name: its key, edges, `start`, templates.
    pub mentions: Vec<(Span, String)>,
    /// Nodes whose name a text that reads them also gives to something of its own: renaming them needs a person.
    pub shadowed: Vec<String>,
    /// Names in templates, each with what it stands for, for people.
    pub names: Vec<(Span, String)>,
    /// What templates can begin with, with what it is, and what can follow after a dot.
    pub roots: Vec<Root>,
}

/// A name that templates can begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub about: String,
    /// Its fields, with their types and meaning.
    pub fields: Vec<(String, String)>,
}

impl Outline {
    /// The outline of a runbook; nothing while it is no YAML at all.
    pub fn of(file: &SourceFile, registry: &Registry) -> Option<Self> {
        let mut findings = Findings::default();
        let tree = parse(file, 0, &mut findings)?;
        let document = document(&tree, &[], &mut findings)?;
        let fanned = fanned(&document, registry);
        let known = names(&file.text, &document, registry, &fanned);
        let mut outline = Self {
            nodes: document.nodes.iter().map(|node| listed(node, registry)).collect(),
            mentions: document
                .nodes
                .iter()
                .map(|node| (node.name.span.clone(), node.name.text.to_string()))
                .collect(),
            shadowed: Vec::new(),
            names: Vec::new(),
            roots: roots(&document, &known),
        };
        let targets = document.nodes.iter().flat_map(targets).map(|(word, _)| word);
        let named =
            targets.chain(&document.start).filter(|word| known.nodes.contains_key(word.text.as_str()));
        outline.mentions.extend(named.map(|word| (word.span.clone(), word.text.to_string())));
        tree.texts(&mut |text, at| {
            for Explained { node, at, about, shadowed } in explain(text, at, &known) {
                outline.shadowed.extend(node.clone().filter(|_| shadowed));
                outline.mentions.extend(node.map(|name| (at.clone(), name)));
                outline.names.push((at, about));
            }
        });
        // A text repeated by an alias is written once.
        outline.mentions.sort();
        outline.mentions.dedup();
        Some(outline)
    }
}

fn listed(node: &DocNode, registry: &Registry) -> OutlineNode {
    let what = match &node.body {
        DocBody::Step(step) => {
            let summary = registry.get(&step.kind.text).map_or("", |found| found.spec().summary);
            format!("{}: {summary}", step.kind.text)
        }
        DocBody::Runbook(run) => format!("runbook {}", run.runbook.text),
        DocBody::End { end, .. } => format!("ends: {}", end.word()),
        DocBody::Broken => String::new(),
    };
    let about =
        node.title.iter().map(|title| title.text.to_string()).chain([what]).collect::<Vec<_>>().join("\n\n");
    OutlineNode { name: node.name.text.clone().into(), at: node.name.span.clone(), about }
}

fn roots(document: &Document, known: &Names<'_>) -> Vec<Root> {
    let root =
        |name: &str, about: &str, fields| Root { name: name.to_owned(), about: about.to_owned(), fields };
    let inputs = document.inputs.iter().map(|input| {
        let name = input.name.text.as_str();
        let types = known.inputs.get(name).map_or_else(String::new, |schema| typed(schema, schema));
        (name.to_owned(), [types, input.spec.help.clone().unwrap_or_default()].join(". "))
    });
    let vars = document.vars.iter().map(|(name, _)| (name.text.to_string(), "a variable".to_owned()));
    let run = ["id", "operator", "started", "runbook"].map(|name| (name.to_owned(), "text".to_owned()));
    let mut roots = vec![
        root("inputs", "what the runbook was told at the start", inputs.collect()),
        root("vars", "values that change while it runs", vars.collect()),
        root("run", "this run", run.to_vec()),
    ];
    for node in &document.nodes {
        let name = node.name.text.as_str();
        let Some(Record::Known(schema)) = known.nodes.get(name) else { continue };
        roots.push(root(name, "the output of this node", fields(schema)));
    }
    roots
}

fn fields(record: &Json) -> Vec<(String, String)> {
    let properties = record.get("properties").and_then(Json::as_object);
    let about = |(name, schema): (&String, &Json)| (name.clone(), described(record, schema));
    properties.into_iter().flatten().map(about).collect()
}

/// The type and the meaning of a value.
pub(super) fn described(root: &Json, schema: &Json) -> String {
    let meaning = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    [typed(root, schema).as_str(), meaning]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(". ")
}

/// The type of a value: `a list of text, or unknown`.
fn typed(root: &Json, schema: &Json) -> String {
    let mut words: Vec<String> = Vec::new();
    for one in schema::alternatives(root, schema) {
        if let Some(known) = schema::words(one) {
            words.extend(known.iter().map(|word| format!("`{word}`")));
            continue;
        }
        for name in schema::types(one).into_iter().filter(|name| *name != "null") {
            words.push(match schema::element(root, one) {
                Inside::Known(items) if name == "array" => format!("a list of {}", typed(root, items)),
                _ => schema::called(name).to_owned(),
            });
        }
    }
    words.dedup();
    let null = |schema: &Json| schema::types(schema).contains(&"null");
    let alternatives = ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
    if null(schema) || alternatives.into_iter().any(null) {
        words.push("unknown".to_owned());
    }
    if words.is_empty() { "a value".to_owned() } else { words.join(" or ") }
}
