//! The JSON Schema of runbooks (draft 7, which every editor reads), from the words of the language and the steps of a
//! program.

use serde_json::{Map, Value, json};

use super::template::parameters;
use super::words::{
    BREAKS, DIFFERS, EDGE, END, ENDS, FOR_EACH, GATE, INPUT, INPUT_TYPES, NODE, RETRY, RUNBOOK, STEP, SUBRUN,
    UNDO, Words,
};
use crate::step::{OutcomeSpec, Outcomes, Registry, StepSpec};

/// `30s`, `1h30m`.
const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";
/// Names that templates use.
const NAME: &str = "^[a-z][a-z0-9_]*$";
/// Names that are directories.
const RUNBOOK_NAME: &str = "^[a-z][a-z0-9-]*$";
/// The kind by which a node runs another runbook.
const SUBRUN_KIND: &str = "runbook";

/// The schema of a runbook whose nodes bind to the steps of `registry`.
pub fn schema(registry: &Registry) -> Value {
    let specs: Vec<&StepSpec> = registry.steps().map(|step| step.spec()).collect();
    let mut top = properties(RUNBOOK, |key| match key {
        "runbook" => json!({ "type": "string", "pattern": RUNBOOK_NAME, "maxLength": 64 }),
        "inputs" => named(&json!({ "$ref": "#/definitions/input" })),
        "differs" => json!({ "type": "array", "items": record(DIFFERS, &["reason"], |_| text()) }),
        "vars" => named(&json!({})),
        "nodes" => {
            let mut nodes = named(&json!({ "$ref": "#/definitions/node" }));
            nodes["minProperties"] = json!(1);
            nodes
        }
        _ => text(),
    });
    top.insert("$schema".to_owned(), json!({ "type": "string" }));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "description": "A written operational runbook as a graph of steps. `runbook check` says more than this schema can.",
        "type": "object",
        "properties": top,
        "required": ["runbook", "title", "start", "nodes"],
        "additionalProperties": false,
        "definitions": {
            "input": input(),
            "node": node(&specs),
            "with": { "allOf": specs.iter().map(|spec| with(spec)).collect::<Vec<_>>() },
            "edge": edge(),
            "duration": { "type": "string", "pattern": DURATION },
        },
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn duration() -> Value {
    json!({ "$ref": "#/definitions/duration" })
}

fn count(least: u32, most: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// A map from names to values of a schema.
fn named(schema: &Value) -> Value {
    json!({ "type": ["object", "null"], "propertyNames": { "pattern": NAME, "maxLength": 64 }, "additionalProperties": schema })
}

/// The words of a map, each with its meaning and schema.
fn properties(words: Words, schema: impl Fn(&str) -> Value) -> Map<String, Value> {
    let one = |(key, about): &(&str, &str)| {
        let mut described = json!({ "description": about });
        match schema(key) {
            // Draft 7 reads nothing beside a reference.
            Value::Object(inner) if inner.contains_key("$ref") => described["allOf"] = json!([inner]),
            Value::Object(inner) => {
                described.as_object_mut().into_iter().for_each(|map| map.extend(inner.clone()))
            }
            _ => {}
        }
        ((*key).to_owned(), described)
    };
    words.iter().map(one).collect()
}

/// A map that has exactly these words.
fn record(words: Words, required: &[&str], schema: impl Fn(&str) -> Value) -> Value {
    json!({
        "type": "object",
        "properties": properties(words, schema),
        "required": required,
        "additionalProperties": false,
    })
}

/// One of some words.
fn one_of(words: Words) -> Value {
    let (names, meanings): (Vec<_>, Vec<_>) = words.iter().copied().unzip();
    json!({ "type": "string", "enum": names, "enumDescriptions": meanings })
}

fn input() -> Value {
    let mut input = record(INPUT, &["type"], |key| match key {
        "type" => one_of(INPUT_TYPES),
        "optional" | "secret" => json!({ "type": "boolean" }),
        "choices" => json!({ "type": "array", "items": text(), "minItems": 1 }),
        "default" => json!({}),
        _ => text(),
    });
    input["if"] = json!({ "properties": { "type": { "const": "choice" } }, "required": ["type"] });
    input["then"] = json!({ "required": ["choices"] });
    input
}

fn node(specs: &[&StepSpec]) -> Value {
    let mut all = properties(NODE, |_| text());
    all.extend(properties(STEP, |key| match key {
        "step" => kinds(specs),
        "with" => json!({ "type": ["object", "null"] }),
        "next" => {
            json!({ "type": ["string", "object"], "additionalProperties": { "$ref": "#/definitions/edge" } })
        }
        "approve" => approve(),
        "undo" => undo(specs),
        "retry" => retry(),
        "timeout" => duration(),
        "max_visits" | "at_once" => count(1, 1000),
        "tolerate" => count(0, 100_000),
        "for_each" => for_each(),
        "set" => json!({ "type": "object", "propertyNames": { "pattern": NAME } }),
        "outcome" => {
            json!({ "type": "object", "propertyNames": { "pattern": NAME }, "additionalProperties": text() })
        }
        _ => text(),
    }));
    all.extend(properties(END, |key| if key == "end" { one_of(ENDS) } else { text() }));
    let keys = |words: Words| words.iter().map(|(key, _)| *key).collect::<Vec<_>>();
    let [with_step, with_end] = [STEP, END].map(|words| [keys(NODE), keys(words)].concat());
    let mut rules = vec![
        json!({
            "if": { "required": ["end"] },
            "then": { "propertyNames": { "enum": with_end } },
            "else": { "required": ["step"], "propertyNames": { "enum": with_step } },
        }),
        json!({
            "if": { "required": ["step"] },
            "then": { "anyOf": [{ "required": ["next"] }, { "required": ["otherwise"] }] },
        }),
        json!({ "$ref": "#/definitions/with" }),
        subrun(),
    ];
    rules.extend(specs.iter().filter_map(|spec| outcomes(spec)));
    json!({ "type": "object", "properties": all, "additionalProperties": false, "allOf": rules })
}

fn kinds(specs: &[&StepSpec]) -> Value {
    let names = specs.iter().map(|spec| spec.kind).chain([SUBRUN_KIND]);
    let meanings =
        specs.iter().map(|spec| spec.summary).chain(["Run another runbook; its ends are the outcomes"]);
    json!({ "type": "string", "enum": names.collect::<Vec<_>>(), "enumDescriptions": meanings.collect::<Vec<_>>() })
}

/// Holds for maps whose `step` is this kind.
fn if_step(kind: &str, then: &Value) -> Value {
    json!({ "if": { "properties": { "step": { "const": kind } }, "required": ["step"] }, "then": then })
}

fn with(spec: &StepSpec) -> Value {
    let mut params = parameters(&spec.params);
    params["description"] = json!(format!("{}: {}", spec.kind, spec.summary));
    let needed = params["required"].as_array().is_some_and(|required| !required.is_empty());
    let required: &[&str] = if needed { &["with"] } else { &[] };
    if !needed {
        // `with:` with nothing behind it.
        params["type"] = json!(["object", "null"]);
    }
    if_step(spec.kind, &json!({ "properties": { "with": params }, "required": required }))
}

fn subrun() -> Value {
    let with = record(SUBRUN, &["runbook"], |key| match key {
        "runbook" => json!({ "type": "string", "pattern": RUNBOOK_NAME }),
        _ => json!({ "type": ["object", "null"] }),
    });
    let ends: Vec<OutcomeSpec> = ENDS
        .iter()
        .map(|(name, help)| OutcomeSpec { name: (*name).to_owned(), help: (*help).to_owned() })
        .collect();
    let mut next = edges(&ends);
    next["propertyNames"] = only(&ends)["propertyNames"].take();
    if_step(SUBRUN_KIND, &json!({ "properties": { "with": with, "next": next }, "required": ["with"] }))
}

/// The outcomes of a step as keys of `next`. What a node refines, or an author names, is open.
fn outcomes(spec: &StepSpec) -> Option<Value> {
    let (fixed, named) = match &spec.outcomes {
        Outcomes::Fixed(fixed) => (fixed, false),
        Outcomes::Keys { also, .. } => (also, true),
    };
    if fixed.is_empty() {
        return None;
    }
    let mut then = json!({ "properties": { "next": edges(fixed) } });
    if !named {
        then["if"] = json!({ "required": ["outcome"] });
        then["else"] = json!({ "properties": { "next": only(fixed) } });
    }
    Some(if_step(spec.kind, &then))
}

/// What is said in `next` beside the outcomes of a step.
const ALWAYS: Words = &[
    ("otherwise", "All other outcomes, but for `unknown`."),
    ("mixed", "The items of `for_each` ended differently."),
];

fn edges(outcomes: &[OutcomeSpec]) -> Value {
    let outcomes = outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.help.as_str()));
    let described = |(name, about): (&str, &str)| {
        (name.to_owned(), json!({ "description": about, "allOf": [{ "$ref": "#/definitions/edge" }] }))
    };
    let all: Map<String, Value> = outcomes.chain(ALWAYS.iter().copied()).map(described).collect();
    json!({ "type": ["string", "object"], "properties": all })
}

/// No other keys than these outcomes.
fn only(outcomes: &[OutcomeSpec]) -> Value {
    let outcomes = outcomes.iter().map(|outcome| outcome.name.as_str());
    let names: Vec<&str> = outcomes.chain(ALWAYS.iter().map(|(name, _)| *name)).collect();
    json!({ "propertyNames": { "enum": names } })
}

fn edge() -> Value {
    let mut edge = record(EDGE, &["to"], |_| text());
    edge["type"] = json!(["string", "object"]);
    edge
}

fn approve() -> Value {
    let rule = record(GATE, &[], |key| match key {
        "by" => count(1, 9),
        "not_operator" => json!({ "type": "boolean" }),
        "expires" => duration(),
        _ => text(),
    });
    json!({ "anyOf": [
        { "const": true, "description": "Ask, with the step's own words." },
        { "const": "never", "description": "Let this change happen unseen. `check` lists it." },
        { "type": "string", "description": "Ask with these words." },
        rule,
    ] })
}

fn undo(specs: &[&StepSpec]) -> Value {
    let mut step = record(UNDO, &["step"], |key| match key {
        "step" => kinds(specs),
        _ => json!({ "type": ["object", "null"] }),
    });
    step["allOf"] = json!([{ "$ref": "#/definitions/with" }]);
    json!({ "anyOf": [{ "const": "auto", "description": "The step knows its inverse." }, step] })
}

fn retry() -> Value {
    record(RETRY, &["attempts"], |key| match key {
        "attempts" => count(1, 100),
        "backoff" => json!({ "type": "number", "minimum": 1 }),
        "on" => json!({ "type": "array", "items": one_of(BREAKS) }),
        _ => duration(),
    })
}

fn for_each() -> Value {
    json!({ "anyOf": [text(), record(FOR_EACH, &["items"], |_| text())] })
}
