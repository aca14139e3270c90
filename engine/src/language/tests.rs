use serde_json::{Value, json};

use super::template::parameters;
use super::words;
use crate::source::convert::keys;

#[test]
fn every_word_that_is_read_has_its_meaning_and_no_other_has() {
    let described = [
        words::RUNBOOK,
        words::DIFFERS,
        words::INPUT,
        words::INPUT_TYPES,
        words::NODE,
        words::STEP,
        words::END,
        words::ENDS,
        words::SUBRUN,
        words::EDGE,
        words::GATE,
        words::UNDO,
        words::RETRY,
        words::FOR_EACH,
        words::BREAKS,
    ];
    for ((map, mut read), described) in keys().into_iter().zip(described) {
        let mut known: Vec<&str> = described.iter().map(|(word, _)| *word).collect();
        read.sort_unstable();
        known.sort_unstable();
        assert_eq!(read, known, "{map}");
        for (word, meaning) in described {
            assert!(meaning.len() > 8 && meaning.ends_with('.'), "{map} {word}");
        }
    }
}

#[test]
fn a_template_may_stand_for_any_value_but_for_the_map_itself() {
    let schema = json!({
        "$schema": "x", "title": "Params", "type": "object", "additionalProperties": false, "required": ["n"],
        "properties": {
            "n": { "type": "integer", "format": "uint32", "minimum": 1, "description": "How many." },
            "text": { "type": ["string", "null"], "default": null, "x-shell": true },
            "word": { "anyOf": [{ "type": "string", "enum": ["a"] }, { "type": "null" }] },
            "list": { "type": "array", "items": { "type": "string" } },
        },
    });
    let template = json!({ "type": "string", "pattern": r"\{[{%]" });
    let expected: Value = json!({
        "type": "object", "additionalProperties": false, "required": ["n"],
        "properties": {
            "n": { "description": "How many.", "anyOf": [{ "type": "integer", "minimum": 1 }, template] },
            "text": { "type": ["string", "null"] },
            "word": { "anyOf": [
                { "anyOf": [{ "type": "string", "enum": ["a"] }, template] },
                { "anyOf": [{ "type": "null" }, template] },
            ] },
            "list": { "anyOf": [{ "type": "array", "items": { "type": "string" } }, template] },
        },
    });
    assert_eq!(parameters(&schema), expected);
}
