//! Outputs that a template passes on whole, `with: { job: "{{ look.nodes }}" }`: do their types fit the parameters?
//!
//! A value that a larger expression computes has a type that only the run knows.

use serde_json::Value as Json;

use super::schema::{self, called};
use super::template::{Names, Passed, Place, is_one_expression, passed};
use super::{Findings, codes};
use crate::source::node::{Node, Value};
use crate::step::StepSpec;

/// Reports outputs of another type than the parameter takes.
pub(super) fn check(
    spec: &StepSpec,
    with: Option<&Node>,
    names: &Names<'_>,
    place: Place<'_>,
    findings: &mut Findings,
) {
    let Some(with) = with.filter(|with| with.entries().is_some()) else { return };
    Passing { spec, names, place }.value(&spec.params, with, "", findings);
}

struct Passing<'a> {
    spec: &'a StepSpec,
    names: &'a Names<'a>,
    place: Place<'a>,
}

impl Passing<'_> {
    fn value(&self, schema: &Json, node: &Node, path: &str, findings: &mut Findings) {
        if !passes_on(node) {
            return;
        }
        // Text for a shell or for people takes whatever can be written.
        if ["x-shell", "x-text"].iter().any(|mark| schema.get(mark).is_some()) {
            return;
        }
        let takes = schema::alternatives(&self.spec.params, schema);
        let inner = |key| takes.iter().find_map(|schema| schema.get(key));
        match &node.value {
            Value::Str(text) => {
                if let Some(passed) = passed(text, self.names, self.place) {
                    self.compare(&takes, &passed, node, path, findings);
                }
            }
            Value::Seq(items) => {
                let Some(schema) = inner("items") else { return };
                for (at, item) in items.iter().enumerate() {
                    self.value(schema, item, &format!("{path}[{at}]"), findings);
                }
            }
            Value::Map(entries) => {
                let Some(properties) = inner("properties") else { return };
                for (key, node) in entries {
                    let Some(schema) = properties.get(key.text.as_str()) else { continue };
                    let path =
                        if path.is_empty() { key.text.to_string() } else { format!("{path}.{}", key.text) };
                    self.value(schema, node, &path, findings);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::BareTemplate => {}
        }
    }

    fn compare(
        &self,
        takes: &[&Json],
        passed: &Passed<'_>,
        node: &Node,
        path: &str,
        findings: &mut Findings,
    ) {
        let gives = schema::alternatives(passed.root, passed.schema);
        let fits = takes.is_empty()
            || gives.is_empty()
            || takes.iter().any(|takes| {
                gives.iter().any(|gives| compatible(&self.spec.params, takes, passed.root, gives))
            });
        if fits {
            return;
        }
        let (expected, given) = (in_words(&self.spec.params, takes), in_words(passed.root, &gives));
        findings
            .error(
                codes::PARAM_WRONG_TYPE,
                format!(
                    "`{path}` of {} must be {expected}, and `{}` is {given}",
                    self.spec.kind, passed.path
                ),
                node.span.clone(),
            )
            .label(format!("this is {given}"))
            .help(if given.starts_with("a list") && !expected.contains("a list") {
                format!(
                    "Take one element, `{{{{ {}[0] }}}}`, or run the node for each with `for_each`.",
                    passed.path
                )
            } else if expected == "text" {
                "Text around it, or `| string`, makes it text.".to_owned()
            } else {
                "Pass another output, or compute the value with a filter.".to_owned()
            });
    }
}

/// Whether a text in a value is an expression and nothing else.
fn passes_on(node: &Node) -> bool {
    match &node.value {
        Value::Str(text) => is_one_expression(text),
        Value::Seq(items) => items.iter().any(passes_on),
        Value::Map(entries) => entries.iter().any(|(_, node)| passes_on(node)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::BareTemplate => false,
    }
}

/// Whether some value of one schema is a value of the other, as far as their types and words say.
fn compatible(takes_root: &Json, takes: &Json, gives_root: &Json, gives: &Json) -> bool {
    let (takes_types, gives_types) = (schema::types(takes), schema::types(gives));
    if takes_types.is_empty() || gives_types.is_empty() {
        return true;
    }
    let numeric = |types: &[&str]| types.contains(&"integer") || types.contains(&"number");
    gives_types.iter().filter(|name| **name != "null").any(|name| match *name {
        "integer" | "number" => numeric(&takes_types),
        "array" if takes_types.contains(&"array") => match (takes.get("items"), gives.get("items")) {
            (Some(takes), Some(gives)) => {
                let takes = schema::alternatives(takes_root, takes);
                let gives = schema::alternatives(gives_root, gives);
                takes.is_empty()
                    || gives.is_empty()
                    || takes.iter().any(|takes| {
                        gives.iter().any(|gives| compatible(takes_root, takes, gives_root, gives))
                    })
            }
            _ => true,
        },
        "string" => {
            takes_types.contains(&"string")
                && match (schema::words(takes), schema::words(gives)) {
                    (Some(takes), Some(gives)) => gives.iter().any(|word| takes.contains(word)),
                    _ => true,
                }
        }
        name => takes_types.contains(&name),
    })
}

/// The types of some schemas for people: `a list of text or text`.
fn in_words(root: &Json, schemas: &[&Json]) -> String {
    let mut words: Vec<String> = Vec::new();
    for schema in schemas {
        for name in schema::types(schema).into_iter().filter(|name| *name != "null") {
            let items = schema.get("items").filter(|_| name == "array");
            let of =
                items.map(|items| in_words(root, &schema::alternatives(root, items))).unwrap_or_default();
            let word =
                if of.is_empty() { called(name).to_owned() } else { format!("a list of {}", plural(&of)) };
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words.join(" or ")
}

fn plural(word: &str) -> String {
    match word {
        "text" => "texts".to_owned(),
        "a whole number" => "whole numbers".to_owned(),
        "a number" => "numbers".to_owned(),
        "a map" => "maps".to_owned(),
        "a list" => "lists".to_owned(),
        other => other.to_owned(),
    }
}
