//! Units of the numbers that a step yields, from the schema of its output: whose descriptions name them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::Unit;

/// The units by the name of the field.
pub(super) fn units(schema: &Value) -> BTreeMap<String, Unit> {
    let mut units = BTreeMap::new();
    look(schema, &mut units);
    units
}

fn look(schema: &Value, units: &mut BTreeMap<String, Unit>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(fields)) = map.get("properties") {
                for (name, field) in fields {
                    units.extend(unit(name, field).map(|unit| (name.clone(), unit)));
                }
            }
            map.values().for_each(|inner| look(inner, units));
        }
        Value::Array(list) => list.iter().for_each(|inner| look(inner, units)),
        _ => {}
    }
}

fn unit(name: &str, field: &Value) -> Option<Unit> {
    let is = |kind: &str| match field.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|found| found == kind),
        _ => false,
    };
    let help = field.get("description").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let says = |word: &str| help.split(|c: char| !c.is_alphanumeric()).any(|found| found == word);
    if is("integer") && (says("bytes") || name.ends_with("bytes")) {
        Some(Unit::Bytes)
    } else if (is("integer") || is("number")) && name.ends_with("_seconds") {
        Some(Unit::Seconds)
    } else if is("number") && name.contains("gpu_hours") {
        Some(Unit::GpuHours)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_that_a_step_yields_has_its_unit() {
        let registry = crate::load::registry();
        let of = |kind: &str| units(&registry.get(kind).unwrap().spec().output);
        let error = of("oom.read");
        for name in [
            "tried",
            "capacity",
            "free",
            "allocated",
            "reserved",
            "reserved_unallocated",
            "this_process",
            "limit",
        ] {
            assert_eq!(error.get(name), Some(&Unit::Bytes), "{name}");
        }
        for name in ["rank", "step", "line", "device", "message", "ooms_seen"] {
            assert_eq!(error.get(name), None, "{name}");
        }
        assert_eq!(of("job.watch").get("peak_reserved"), Some(&Unit::Bytes));
        assert_eq!(of("gpu.health").get("memory_total"), Some(&Unit::Bytes));
        assert_eq!(of("checkpoint.latest").get("lost_gpu_hours"), Some(&Unit::GpuHours));
        assert_eq!(of("checkpoint.latest").get("age_seconds"), Some(&Unit::Seconds));
    }
}
