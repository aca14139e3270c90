//! JSON → entries.

use jsonc_parser::ast::{ObjectPropName, Value};
use jsonc_parser::common::{Range as Place, Ranged};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::doc::{Entry, Scalar};

/// The values of a JSON text.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, String> {
    // DeepSpeed reads its file with hjson, which takes comments and commas at the end; more than that is not taken here.
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|error| format!("it is not JSON: {}", error.kind()))?;
    let mut entries = Vec::new();
    match parsed.value {
        Some(value @ Value::Object(_)) => walk(&value, &mut Vec::new(), &mut entries),
        _ => return Err("it is not a JSON object".to_owned()),
    }
    Ok(entries)
}

fn walk(value: &Value<'_>, path: &mut Vec<String>, entries: &mut Vec<Entry>) {
    match value {
        Value::Object(object) => {
            for property in &object.properties {
                let (name, key) = match &property.name {
                    ObjectPropName::String(literal) => (literal.value.as_ref(), literal.range),
                    ObjectPropName::Word(word) => (word.value, word.range),
                };
                path.push(name.to_owned());
                add(&property.value, key, path, entries);
                path.pop();
            }
        }
        Value::Array(array) => {
            for (index, item) in array.elements.iter().enumerate() {
                path.push(format!("[{index}]"));
                add(item, Place { start: 0, end: 0 }, path, entries);
                path.pop();
            }
        }
        _ => {}
    }
}

fn add(value: &Value<'_>, key: Place, path: &mut Vec<String>, entries: &mut Vec<Entry>) {
    let scalar = match value {
        Value::NullKeyword(_) => Scalar::Null,
        Value::BooleanLit(literal) => Scalar::Bool(literal.value),
        Value::NumberLit(literal) => Scalar::Number(literal.value.to_owned()),
        Value::StringLit(literal) => Scalar::Text(literal.value.to_string()),
        Value::Object(_) | Value::Array(_) => Scalar::Inner,
    };
    let range = value.range();
    entries.push(Entry {
        path: path.clone(),
        value: scalar,
        range: range.start..range.end,
        key: key.start..key.end,
        own: true,
    });
    walk(value, path, entries);
}
