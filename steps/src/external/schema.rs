//! The part of JSON Schema that executables may use, in which no word is passed over: a word that is not known here is refused
//! when the step describes itself, so that nobody relies on a check that is not made.
//!
//! The crate jsonschema knows all of it, and brings 33 crates that would add a third to the time of a build.

use std::fmt::Write;

use regex::Regex;
use serde_json::{Map, Value};

/// Words that describe and restrict nothing.
const SAYS: &[&str] =
    &["$schema", "$id", "title", "description", "default", "examples", "format", "deprecated", "$comment"];
/// Words that restrict.
const CHECKS: &[&str] = &[
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "anyOf",
    "oneOf",
];
const TYPES: &[&str] = &["null", "boolean", "integer", "number", "string", "array", "object"];
/// A schema that nests deeper is none that a person wrote.
const DEEPEST: usize = 24;

/// A schema whose every word is known.
#[derive(Debug, Clone)]
pub(super) struct Schema(Value);

impl Schema {
    /// Takes a schema of objects.
    ///
    /// # Errors
    /// The first word that is not known or does not fit, with its place.
    pub(super) fn of_object(schema: Value) -> Result<Self, String> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err("its `type` must be \"object\"".to_owned());
        }
        known(&schema, "", 0)?;
        Ok(Self(schema))
    }

    pub(super) fn json(&self) -> &Value {
        &self.0
    }

    /// Whether a property is described.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get("properties").and_then(|all| all.get(name)).is_some()
    }

    /// Whether a value fits.
    ///
    /// # Errors
    /// The first thing that does not, with its place.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        fits(&self.0, value, "")
    }
}

fn known(schema: &Value, at: &str, depth: usize) -> Result<(), String> {
    let here = if at.is_empty() { "the schema".to_owned() } else { format!("`{at}`") };
    if depth > DEEPEST {
        return Err(format!("{here} nests deeper than {DEEPEST} levels"));
    }
    let words = match schema {
        Value::Object(words) => words,
        Value::Bool(_) => return Ok(()),
        _ => return Err(format!("{here} is no schema")),
    };
    let wrong = |word: &str, must: &str| Err(format!("`{word}` of {here} must be {must}"));
    for (word, value) in words {
        match word.as_str() {
            _ if SAYS.contains(&word.as_str()) || word.starts_with("x-") => {}
            "type" => {
                let one = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
                let fine = one(value) || value.as_array().is_some_and(|all| all.iter().all(one));
                if !fine {
                    return wrong(word, &format!("one of {}", TYPES.join(", ")));
                }
            }
            "enum" if value.is_array() => {}
            "const" => {}
            "required" if value.as_array().is_some_and(|all| all.iter().all(Value::is_string)) => {}
            "properties" => {
                let Some(all) = value.as_object() else { return wrong(word, "an object") };
                for (name, inner) in all {
                    known(inner, &below(at, name), depth + 1)?;
                }
            }
            "additionalProperties" | "items" => known(value, &below(at, word), depth + 1)?,
            "anyOf" | "oneOf" => {
                let Some(all) = value.as_array().filter(|all| !all.is_empty()) else {
                    return wrong(word, "a list of schemas");
                };
                for inner in all {
                    known(inner, &below(at, word), depth + 1)?;
                }
            }
            "minItems" | "maxItems" | "minLength" | "maxLength" if value.is_u64() => {}
            "minimum" | "maximum" if value.is_number() => {}
            "pattern" => {
                let Some(pattern) = value.as_str() else { return wrong(word, "a regular expression") };
                if let Err(error) = Regex::new(pattern) {
                    let error = error.to_string();
                    return wrong(word, error.lines().last().unwrap_or("a regular expression"));
                }
            }
            _ if CHECKS.contains(&word.as_str()) => return wrong(word, "of another type"),
            _ => return Err(format!("{here} has `{word}`, which is not checked here: leave it out")),
        }
    }
    Ok(())
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn fits(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let here = || if at.is_empty() { "it".to_owned() } else { format!("`{at}`") };
    let words = match schema {
        Value::Object(words) => words,
        Value::Bool(false) => return Err(format!("{} may not be there", here())),
        _ => return Ok(()),
    };
    let fail = |why: String| Err(format!("{} {why}", here()));
    match words.get("type") {
        Some(Value::String(name)) if !is(value, name) => {
            return fail(format!("is {}, not {name}", kind(value)));
        }
        Some(Value::Array(names)) if !names.iter().filter_map(Value::as_str).any(|name| is(value, name)) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            return fail(format!("is {}, none of {}", kind(value), names.join(", ")));
        }
        _ => {}
    }
    if let Some(Value::Array(allowed)) = words.get("enum")
        && !allowed.contains(value)
    {
        return fail(format!("is none of {}", listed(allowed)));
    }
    if let Some(only) = words.get("const")
        && only != value
    {
        return fail(format!("is not {only}"));
    }
    for word in ["anyOf", "oneOf"] {
        let Some(all) = words.get(word).and_then(Value::as_array) else { continue };
        let count = all.iter().filter(|inner| fits(inner, value, at).is_ok()).count();
        if count == 0 || (word == "oneOf" && count > 1) {
            return fail(format!("fits {count} of the {} schemas of `{word}`", all.len()));
        }
    }
    let number = |word: &str| words.get(word).and_then(Value::as_f64);
    let outside = |size: f64, least: &str, most: &str| {
        number(least).is_some_and(|least| size < least) || number(most).is_some_and(|most| size > most)
    };
    match value {
        Value::Number(value) if value.as_f64().is_some_and(|size| outside(size, "minimum", "maximum")) => {
            fail(format!("is {value}, which is out of its range"))
        }
        Value::String(text) => {
            if outside(text.chars().count() as f64, "minLength", "maxLength") {
                return fail("is too short or too long".to_owned());
            }
            let pattern = words.get("pattern").and_then(Value::as_str).and_then(|text| Regex::new(text).ok());
            match pattern.is_some_and(|pattern| !pattern.is_match(text)) {
                true => fail("does not fit its pattern".to_owned()),
                false => Ok(()),
            }
        }
        Value::Array(items) => {
            if outside(items.len() as f64, "minItems", "maxItems") {
                return fail(format!("has {} items", items.len()));
            }
            let Some(inner) = words.get("items") else { return Ok(()) };
            items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| fits(inner, item, &below(at, &index.to_string())))
        }
        Value::Object(fields) => object(words, fields, at),
        _ => Ok(()),
    }
}

fn object(words: &Map<String, Value>, fields: &Map<String, Value>, at: &str) -> Result<(), String> {
    let required = words.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Err(format!("`{}` is missing", below(at, name)));
        }
    }
    let properties = words.get("properties").and_then(Value::as_object);
    for (name, value) in fields {
        let place = below(at, name);
        match (properties.and_then(|all| all.get(name)), words.get("additionalProperties")) {
            (Some(inner), _) | (None, Some(inner @ Value::Object(_))) => fits(inner, value, &place)?,
            (None, Some(Value::Bool(false))) => return Err(format!("`{place}` is not described")),
            _ => {}
        }
    }
    Ok(())
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "number" => value.is_number(),
        name => kind(value) == name,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The first few of a list.
fn listed(values: &[Value]) -> String {
    let mut text = String::new();
    for value in values.iter().take(8) {
        let _ = write!(text, "{}{value}", if text.is_empty() { "" } else { ", " });
    }
    text
}
