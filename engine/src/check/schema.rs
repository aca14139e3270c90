//! Looking into JSON schemas: the parts that `schemars` writes for parameters and outputs.

use serde_json::Value;

/// Follows references and drops the "or null" of an option: the schemas a value of `schema` may have.
///
/// `root` holds the definitions. Empty if nothing is said about the value.
pub(super) fn alternatives<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let mut found = Vec::new();
    collect(root, schema, 0, &mut found);
    found.retain(|schema| types(schema) != ["null"]);
    found
}

fn collect<'s>(root: &'s Value, schema: &'s Value, depth: usize, found: &mut Vec<&'s Value>) {
    const DEEPEST: usize = 16;
    if depth > DEEPEST {
        return;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        if let Some(target) = target.filter(|target| !std::ptr::eq(*target, schema)) {
            collect(root, target, depth + 1, found);
        }
        return;
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(branches) = schema.get(key).and_then(Value::as_array) {
            branches.iter().for_each(|branch| collect(root, branch, depth + 1, found));
            return;
        }
    }
    found.push(schema);
}

/// The types a schema names; empty if it does not say.
pub(super) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ => words(schema).is_some_and(|words| !words.is_empty()).then_some("string").into_iter().collect(),
    }
}

/// The words a schema allows, if it lists them.
pub(super) fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(one) = schema.get("const") {
        return one.as_str().map(|word| vec![word]);
    }
    let listed = schema.get("enum")?.as_array()?;
    Some(listed.iter().filter_map(Value::as_str).collect())
}

/// What there is at a field of a value.
#[derive(Debug, PartialEq)]
pub(super) enum Inside<'s> {
    /// A value of this schema.
    Known(&'s Value),
    /// Something, of which nothing is known.
    Anything,
    /// A record without such a field; its fields.
    NoSuch(Vec<&'s str>),
    /// A value that has no fields; what it is.
    Flat(&'static str),
}

/// The field `name` of a value of `schema`.
pub(super) fn field<'s>(root: &'s Value, schema: &'s Value, name: &str) -> Inside<'s> {
    let alternatives = alternatives(root, schema);
    let mut fields = Vec::new();
    let mut flat = None;
    for alternative in &alternatives {
        let types = types(alternative);
        if types.is_empty() {
            return Inside::Anything;
        }
        if !types.contains(&"object") {
            flat = flat.or(types.iter().find(|name| **name != "null").map(|name| called(name)));
            continue;
        }
        let properties = alternative.get("properties").and_then(Value::as_object);
        if let Some(found) = properties.and_then(|properties| properties.get(name)) {
            return Inside::Known(found);
        }
        match alternative.get("additionalProperties") {
            Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => return Inside::Anything,
            Some(other) => return Inside::Known(other),
            None if properties.is_none() => return Inside::Anything,
            None => {}
        }
        fields.extend(properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)));
    }
    match flat {
        _ if alternatives.is_empty() => Inside::Anything,
        Some(flat) if fields.is_empty() => Inside::Flat(flat),
        _ => Inside::NoSuch(fields),
    }
}

/// An element of a list of `schema`.
pub(super) fn element<'s>(root: &'s Value, schema: &'s Value) -> Inside<'s> {
    let alternatives = alternatives(root, schema);
    let lists = |schema: &&Value| types(schema).contains(&"array");
    match alternatives.iter().find(|schema| lists(schema)).map(|list| list.get("items")) {
        Some(Some(items)) => Inside::Known(items),
        Some(None) => Inside::Anything,
        None => {
            let types: Vec<&str> = alternatives.iter().flat_map(|schema| types(schema)).collect();
            match types.iter().find(|name| **name != "null") {
                // A map can be read with `x[key]`, a text by position.
                Some(&"object" | &"string") | None => Inside::Anything,
                Some(name) => Inside::Flat(called(name)),
            }
        }
    }
}

/// A JSON type in the words of people.
pub(super) fn called(name: &str) -> &'static str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a map",
        "null" => "nothing",
        _ => "a value",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_references_and_maps_are_seen_through() {
        let root = json!({
            "$defs": { "Card": { "type": "object", "properties": { "name": { "type": "string" } } } },
            "type": "object",
            "properties": {
                "card": { "anyOf": [{ "$ref": "#/$defs/Card" }, { "type": "null" }] },
                "cards": { "type": ["array", "null"], "items": { "$ref": "#/$defs/Card" } },
                "by_host": { "type": "object", "additionalProperties": { "type": "integer" } },
                "any": true,
                "loop": { "$ref": "#/properties/loop" },
            },
        });
        let at = |schema, name| field(&root, schema, name);
        let Inside::Known(card) = at(&root, "card") else { panic!() };
        assert_eq!(at(card, "name"), Inside::Known(&json!({ "type": "string" })));
        assert_eq!(at(card, "nam"), Inside::NoSuch(vec!["name"]));
        let Inside::Known(cards) = at(&root, "cards") else { panic!() };
        assert_eq!(at(cards, "name"), Inside::Flat("a list"));
        assert_eq!(element(&root, cards), Inside::Known(&json!({ "$ref": "#/$defs/Card" })));
        let Inside::Known(by_host) = at(&root, "by_host") else { panic!() };
        assert_eq!(at(by_host, "n1"), Inside::Known(&json!({ "type": "integer" })));
        let Inside::Known(any) = at(&root, "any") else { panic!() };
        assert_eq!(at(any, "x"), Inside::Anything);
        let Inside::Known(endless) = at(&root, "loop") else { panic!() };
        assert_eq!(at(endless, "x"), Inside::Anything);
    }
}
