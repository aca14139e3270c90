//! The schema of a step's parameters, as they are written: any value may be a template instead.

use serde_json::{Map, Value, json};

/// What a text with a template in it looks like.
const TEMPLATE: &str = r"\{[{%]";

/// Admits a template wherever the schema asks for something that is not free text.
pub(super) fn written(schema: &Value) -> Value {
    let Some(object) = schema.as_object() else { return schema.clone() };
    let mut inner: Map<String, Value> = Map::new();
    for (key, value) in object {
        let value = match key.as_str() {
            // Notes of the generator, which editors do not know, or which only hold for the value itself.
            "$schema" | "title" | "format" => continue,
            key if key.starts_with("x-") => continue,
            "default" if value.is_null() => continue,
            "properties" => properties(value),
            "items" | "additionalProperties" => written(value),
            "anyOf" | "oneOf" => list(value),
            _ => value.clone(),
        };
        inner.insert(key.clone(), value);
    }
    let free = |key: &str| !object.contains_key(key);
    let types: Vec<&str> = match object.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let plain_text = types.contains(&"string") && ["enum", "const", "pattern"].into_iter().all(free);
    // What says nothing of its own type says it in its alternatives.
    let elsewhere = types.is_empty() && ["enum", "const"].into_iter().all(free);
    if plain_text || elsewhere {
        return Value::Object(inner);
    }
    let mut outer = Map::new();
    for key in ["description", "default"] {
        outer.extend(inner.shift_remove(key).map(|value| (key.to_owned(), value)));
    }
    outer.insert("anyOf".to_owned(), json!([inner, { "type": "string", "pattern": TEMPLATE }]));
    Value::Object(outer)
}

/// The schema of `with` itself, which is a map and no template.
pub(super) fn parameters(schema: &Value) -> Value {
    match written(schema) {
        Value::Object(mut map) if map.contains_key("anyOf") => map
            .get_mut("anyOf")
            .and_then(Value::as_array_mut)
            .and_then(|both| both.first_mut())
            .map_or(Value::Null, Value::take),
        other => other,
    }
}

fn properties(value: &Value) -> Value {
    let all = value.as_object().into_iter().flatten();
    Value::Object(all.map(|(name, schema)| (name.clone(), written(schema))).collect())
}

fn list(value: &Value) -> Value {
    value.as_array().into_iter().flatten().map(written).collect()
}
