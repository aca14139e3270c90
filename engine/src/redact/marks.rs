//! What stands where something was removed.

use serde_json::Value;

/// Where a pattern matched. What was there is gone.
pub(super) const REMOVED: &str = "‹redacted›";

/// Where a text was cut off within a secret. What was there is gone, too.
const PART: &str = "‹part of secret ";

/// Where a secret stood, in one of its written forms. It can be put back by whoever knows the secret.
pub(super) fn secret(name: &str, form: &str) -> String {
    if form.is_empty() { format!("‹secret {name}›") } else { format!("‹secret {name}, {form}›") }
}

/// Why nothing is done with such a value.
pub(crate) const GONE: &str =
    "a text that it needs was removed from the journal by a pattern of the configuration (`redact`)";

/// Where a text was cut off within a secret.
pub(super) fn part(name: &str) -> String {
    format!("{PART}{name}›")
}

/// The same characters where they are part of a text and mark nothing: nobody takes them for a place to put a secret.
pub(super) fn literal(mark: &str) -> String {
    mark.replace('‹', "‹\"").replace('›', "\"›")
}

/// Whether something was removed from a value that cannot be put back, so that nothing may be done with it.
pub(crate) fn lost(value: &Value) -> bool {
    let gone = |text: &str| text.contains(REMOVED) || text.contains(PART);
    match value {
        Value::String(text) => gone(text),
        Value::Array(list) => list.iter().any(lost),
        Value::Object(map) => map.iter().any(|(name, value)| gone(name) || lost(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
