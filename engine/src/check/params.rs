//! `with` against the schema of a step's parameters.

use serde_json::Value as Json;

use super::schema::{self, called};
use super::{Findings, codes, list};
use crate::diagnostic::Span;
use crate::source::node::{Node, Value, Word};
use crate::step::StepSpec;

/// Reports what does not fit. `at` is the place of the step's kind, for what is missing.
pub(super) fn check(spec: &StepSpec, with: Option<&Node>, at: &Span, findings: &mut Findings) {
    let cx = Params { kind: spec.kind, root: &spec.params };
    let schemas = schema::alternatives(&spec.params, &spec.params);
    let Some(schema) = schemas.first() else { return };
    if with.is_some_and(|with| with.entries().is_none()) {
        return; // It is no map, which was reported.
    }
    cx.object(schema, with.and_then(Node::entries).unwrap_or_default(), "", at, findings);
}

struct Params<'s> {
    kind: &'s str,
    root: &'s Json,
}

impl Params<'_> {
    /// Checks a map. `path` is where it is below `with`, empty or ending in a dot.
    fn object(
        &self,
        schema: &Json,
        entries: &[(Word, Node)],
        path: &str,
        at: &Span,
        findings: &mut Findings,
    ) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let names = || properties.into_iter().flat_map(|all| all.keys().map(String::as_str));
        let mut misspelt: Vec<&str> = Vec::new();
        for (key, node) in entries {
            if let Some(schema) = properties.and_then(|all| all.get(key.text.as_str())) {
                self.value(schema, node, &format!("{path}{}", key.text), &key.span, findings);
                continue;
            }
            match schema.get("additionalProperties") {
                Some(Json::Bool(false)) => {
                    let given = |name: &str| entries.iter().any(|(key, _)| key.text == name);
                    let meant = findings.meant(&key.text, names().filter(|name| !given(name)));
                    misspelt.extend(meant);
                    let message = match path.strip_suffix('.') {
                        None => format!("{} has no parameter `{}`", self.kind, key.text),
                        Some(path) => format!("`{path}` of {} has no `{}`", self.kind, key.text),
                    };
                    let none = names().next().is_none();
                    let report = findings
                        .error(codes::PARAM_UNKNOWN, message, key.span.clone())
                        .label("unknown parameter");
                    if none {
                        report.help("It takes no parameters: remove `with`.");
                    } else {
                        report.help_meant(meant, "It takes", names());
                    }
                }
                Some(schema @ Json::Object(_)) => {
                    self.value(schema, node, &format!("{path}{}", key.text), &key.span, findings);
                }
                _ => {}
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            // One mistake is one error.
            if entries.iter().any(|(key, _)| key.text == name) || misspelt.contains(&name) {
                continue;
            }
            let about = properties
                .and_then(|all| all.get(name)?.get("description")?.as_str())
                .and_then(|text| text.lines().next())
                .map_or_else(String::new, |line| format!(" {line}"));
            let section = if path.is_empty() { "with" } else { path.trim_end_matches('.') };
            findings
                .error(codes::PARAM_MISSING, format!("{} needs `{path}{name}`", self.kind), at.clone())
                .label(format!("`{path}{name}` is missing"))
                .help(format!("Write `{name}: …` under `{section}`.{about}"));
        }
    }

    fn value(&self, schema: &Json, node: &Node, path: &str, at: &Span, findings: &mut Findings) {
        if self.admits(schema, node) {
            return;
        }
        let at = if node.span.len == 0 { at } else { &node.span };
        let alternatives = schema::alternatives(self.root, schema);
        // Only one alternative is of the same kind as the value: what is wrong lies inside of it.
        let mut like = alternatives.iter().filter(|schema| has_type(schema, node));
        if let (Some(schema), None) = (like.next(), like.next()) {
            match &node.value {
                Value::Map(entries) => {
                    return self.object(schema, entries, &format!("{path}."), at, findings);
                }
                Value::Seq(items) => {
                    let Some(inner) = schema.get("items") else { return };
                    for (index, item) in items.iter().enumerate() {
                        self.value(inner, item, &format!("{path}[{index}]"), at, findings);
                    }
                    return;
                }
                Value::Number(number) => {
                    let limits = [("minimum", "at least"), ("maximum", "at most")];
                    let limits =
                        limits.iter().filter_map(|(key, word)| Some(format!("{word} {}", schema.get(*key)?)));
                    let limits = limits.collect::<Vec<_>>().join(" and ");
                    findings
                        .error(
                            codes::VALUE_RANGE,
                            format!("`{path}` of {} must be {limits}, not {number}", self.kind),
                            at.clone(),
                        )
                        .label("out of range");
                    return;
                }
                _ => {}
            }
        }
        self.wrong(&alternatives, node, path, at, findings);
    }

    /// Says that a value is none of what is allowed.
    fn wrong(&self, allowed: &[&Json], node: &Node, path: &str, at: &Span, findings: &mut Findings) {
        let words: Vec<&str> = allowed.iter().filter_map(|schema| schema::words(schema)).flatten().collect();
        if let (Some(text), Some(known)) = (node.text(), list(words.iter().copied())) {
            let meant = findings.meant(text, words.iter().copied());
            let report = findings
                .error(codes::VALUE_WORD, format!("`{path}` of {} cannot be `{text}`", self.kind), at.clone())
                .label("unknown word");
            match meant {
                Some(meant) => report.help(format!("Did you mean `{meant}`? It is one of {known}.")),
                None => report.help(format!("It is one of {known}.")),
            };
            return;
        }
        let mut expected: Vec<&str> = Vec::new();
        for name in allowed.iter().flat_map(|schema| schema::types(schema)).filter(|name| *name != "null") {
            if !expected.contains(&called(name)) {
                expected.push(called(name));
            }
        }
        let report = findings
            .error(
                codes::PARAM_WRONG_TYPE,
                format!("`{path}` of {} must be {}, not {}", self.kind, expected.join(" or "), node.kind()),
                at.clone(),
            )
            .label(format!("this is {}", node.kind()));
        match &node.value {
            Value::Number(number) if expected.contains(&"text") => {
                report.help(format!("Write it in quotes: \"{number}\"."));
            }
            Value::Null => {
                report.help("Give it a value, or remove the key.");
            }
            Value::Str(text) if text.contains("{{") => {
                report.help("A string that is exactly one `{{ … }}` keeps the type of its value; with text around it, it is text.");
            }
            _ => {}
        }
    }

    /// Whether a written value fits; one that a template computes always does.
    fn admits(&self, schema: &Json, node: &Node) -> bool {
        if node.text().is_some_and(super::template::is_one_expression) || node.value == Value::BareTemplate {
            return true;
        }
        if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
            return branches.iter().any(|branch| self.admits(branch, node));
        }
        if schema.get("$ref").is_some() {
            let all = schema::alternatives(self.root, schema);
            return all.is_empty() || all.iter().any(|schema| self.admits(schema, node));
        }
        has_type(schema, node)
            && match &node.value {
                Value::Str(text) => {
                    crate::template::is_template(text)
                        || schema::words(schema).is_none_or(|words| words.contains(&text.as_str()))
                }
                Value::Number(number) => {
                    let limit = |key| schema.get(key).and_then(Json::as_f64);
                    let number = number.as_f64().unwrap_or_default();
                    limit("minimum").is_none_or(|least| number >= least)
                        && limit("maximum").is_none_or(|most| number <= most)
                }
                Value::Seq(items) => schema
                    .get("items")
                    .is_none_or(|schema| items.iter().all(|item| self.admits(schema, item))),
                Value::Map(entries) => self.admits_map(schema, entries),
                _ => true,
            }
    }

    fn admits_map(&self, schema: &Json, entries: &[(Word, Node)]) -> bool {
        let properties = schema.get("properties").and_then(Json::as_object);
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        let has = |name: &str| entries.iter().any(|(key, _)| key.text == name);
        required.filter_map(Json::as_str).all(has)
            && entries.iter().all(|(key, node)| {
                match (
                    properties.and_then(|all| all.get(key.text.as_str())),
                    schema.get("additionalProperties"),
                ) {
                    (Some(schema), _) | (None, Some(schema @ Json::Object(_))) => self.admits(schema, node),
                    (None, Some(Json::Bool(false))) => false,
                    (None, _) => true,
                }
            })
    }
}

/// Whether a value is of a type that the schema names.
fn has_type(schema: &Json, node: &Node) -> bool {
    let types = schema::types(schema);
    let is = |name: &str| types.contains(&name);
    types.is_empty()
        || match &node.value {
            Value::Null => is("null"),
            Value::Bool(_) => is("boolean"),
            Value::Number(number) => is("number") || is("integer") && (number.is_i64() || number.is_u64()),
            Value::Str(_) => is("string"),
            Value::Seq(_) => is("array"),
            Value::Map(_) => is("object"),
            Value::BareTemplate => true,
        }
}
