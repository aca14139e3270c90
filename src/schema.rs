//! What the JSON Schema of a step's parameters or output says of its fields, and values typed by it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::error::CliError;

/// One field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub name: String,
    /// Its types, for people: `text or null`.
    pub types: String,
    pub required: bool,
    pub help: String,
}

/// The fields of an object.
pub(crate) fn fields(schema: &Value) -> Vec<Field> {
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let field = |(name, schema): (&String, &Value)| Field {
        name: name.clone(),
        types: words(schema).join(" or "),
        required: required.contains(name.as_str()),
        help: schema["description"].as_str().unwrap_or_default().to_owned(),
    };
    properties.iter().map(field).collect()
}

/// The JSON types that a schema admits.
fn types(schema: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    match &schema["type"] {
        Value::String(one) => drop(found.insert(one.as_str())),
        Value::Array(many) => found.extend(many.iter().filter_map(Value::as_str)),
        _ => {}
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        found.extend(schema[key].as_array().into_iter().flatten().flat_map(types));
    }
    if schema.get("const").or(schema.get("enum")).is_some() && found.is_empty() {
        found.insert("string");
    }
    found
}

/// The types for people, with the words of an enumeration.
fn words(schema: &Value) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let listed = schema["enum"].as_array().into_iter().flatten();
    words.extend(listed.chain(schema.get("const")).filter_map(Value::as_str).map(|word| format!("`{word}`")));
    for key in ["anyOf", "oneOf", "allOf"] {
        words.extend(schema[key].as_array().into_iter().flatten().flat_map(self::words));
    }
    if words.is_empty() {
        words.extend(types(schema).into_iter().map(|one| {
            match one {
                "string" => "text",
                "integer" => "whole number",
                "boolean" => "true/false",
                "array" => "list",
                "null" => "unknown",
                other => other,
            }
            .to_owned()
        }));
        // A list says of what.
        if let (Some(list), true) =
            (words.iter_mut().find(|word| *word == "list"), schema["items"].is_object())
        {
            *list = format!("list of {}", self::words(&schema["items"]).join("/"));
        }
    }
    words.sort_by_key(|word| word == "unknown");
    words.dedup();
    words
}

/// A parameter that was given as `name=value`, typed by the schema of all parameters. Given twice, a list grows.
pub(crate) fn set(
    with: &mut serde_json::Map<String, Value>,
    schema: &Value,
    given: &str,
) -> Result<(), CliError> {
    let Some((name, text)) = given.split_once('=') else {
        return Err(CliError::usage(format!("`--with {given}` has no ="), "write --with NAME=VALUE"));
    };
    let known = schema["properties"].as_object();
    let property = known.and_then(|known| known.get(name));
    let open = schema["additionalProperties"].as_bool() != Some(false)
        && known.is_none_or(serde_json::Map::is_empty);
    if property.is_none() && !open {
        let names: Vec<&str> = known.into_iter().flat_map(|known| known.keys()).map(String::as_str).collect();
        return Err(CliError::usage(
            format!("the step has no parameter {name}"),
            format!("it takes {}", names.join(", ")),
        ));
    }
    let value = typed(text, property.unwrap_or(&Value::Null)).map_err(|why| {
        CliError::usage(format!("--with {name}: {why}"), "`runbook steps show KIND` says what it takes")
    })?;
    match (with.get_mut(name), value) {
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (_, value) => drop(with.insert(name.to_owned(), value)),
    }
    Ok(())
}

/// Makes sure that no required parameter is missing.
pub(crate) fn complete(with: &serde_json::Map<String, Value>, schema: &Value) -> Result<(), CliError> {
    let missing =
        fields(schema).into_iter().filter(|field| field.required && !with.contains_key(&field.name));
    let missing: Vec<String> = missing.map(|field| field.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    Err(CliError::usage(format!("missing: {names}"), format!("give it with --with {}=…", missing[0])))
}

/// A text as the value that a schema asks for.
fn typed(text: &str, schema: &Value) -> Result<Value, String> {
    if let Some(path) = text.strip_prefix('@') {
        let content = std::fs::read_to_string(Path::new(path))
            .map_err(|error| format!("cannot read {path}: {error}"))?;
        return serde_json::from_str(&content).map_err(|error| format!("{path} is not JSON: {error}"));
    }
    let types = types(schema);
    let has = |name: &str| types.contains(name);
    let parsed = || serde_json::from_str::<Value>(text);
    if types.is_empty() {
        return Ok(parsed().unwrap_or_else(|_| Value::from(text)));
    }
    if has("null") && text == "null" {
        return Ok(Value::Null);
    }
    if has("array") {
        if text.trim_start().starts_with('[') {
            return parsed().map_err(|error| format!("not a JSON list: {error}"));
        }
        if !has("string") {
            let items = text.split(',').map(|item| typed(item, &schema_of_items(schema)));
            return Ok(Value::Array(items.collect::<Result<_, _>>()?));
        }
    }
    if has("object") && (text.trim_start().starts_with('{') || !has("string")) {
        return parsed().map_err(|error| format!("not a JSON object: {error}"));
    }
    if has("boolean")
        && let Ok(word) = text.parse::<bool>()
    {
        return Ok(Value::from(word));
    }
    if (has("integer") || has("number"))
        && let Ok(number @ Value::Number(_)) = parsed()
    {
        return Ok(number);
    }
    if has("string") {
        return Ok(Value::from(text));
    }
    Err(format!("`{text}` is no {}", words(schema).join(" or ")))
}

/// The schema of a list's items, also where the list may be unknown.
fn schema_of_items(schema: &Value) -> Value {
    let inner = ["anyOf", "oneOf"].iter().flat_map(|key| schema[*key].as_array().into_iter().flatten());
    let mut all = std::iter::once(schema).chain(inner);
    all.find_map(|schema| schema.get("items")).cloned().unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["logs"],
            "properties": {
                "logs": { "type": "array", "items": { "type": "string" }, "description": "Files" },
                "steps": { "type": ["array", "null"], "items": { "type": "integer" } },
                "max": { "type": ["integer", "null"] },
                "job": { "type": "string" },
                "hard": { "type": "boolean" },
                "mode": { "anyOf": [{ "enum": ["soft", "hard"], "type": "string" }, { "type": "null" }] },
                "error": { "type": "object" },
            }
        })
    }

    fn with(given: &[&str]) -> Result<Value, CliError> {
        let mut with = serde_json::Map::new();
        given.iter().try_for_each(|given| set(&mut with, &schema(), given))?;
        Ok(Value::Object(with))
    }

    #[test]
    fn values_are_typed_by_the_schema() {
        let given = with(&[
            "logs=a.err",
            "logs=b,c",
            "steps=1,2",
            "max=3",
            "job=00123",
            "hard=true",
            "mode=soft",
            "error={\"a\":1}",
        ]);
        let expected = json!({
            "logs": ["a.err", "b", "c"], "steps": [1, 2], "max": 3, "job": "00123", "hard": true, "mode": "soft",
            "error": {"a": 1},
        });
        assert_eq!(given.unwrap(), expected);
        assert_eq!(with(&["max=null", "logs=[\"x,y\"]"]).unwrap(), json!({"max": null, "logs": ["x,y"]}));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for wrong in ["logs", "max=many", "hard=perhaps", "error=x", "nothing=1", "steps=a", "logs=@/nowhere"]
        {
            assert!(matches!(with(&[wrong]), Err(CliError::Usage { .. })), "{wrong}");
        }
    }

    #[test]
    fn fields_read_like_words() {
        let fields = fields(&schema());
        let types: Vec<String> =
            fields.iter().map(|field| format!("{}: {}", field.name, field.types)).collect();
        assert_eq!(
            types,
            [
                "logs: list of text",
                "steps: list of whole number or unknown",
                "max: whole number or unknown",
                "job: text",
                "hard: true/false",
                "mode: `soft` or `hard` or unknown",
                "error: object",
            ]
        );
        assert!(fields[0].required && !fields[1].required);
    }
}
