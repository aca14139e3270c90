//! A typed record as a person reads it: what is known with its unit, what is not known by name, lists as tables.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::model::Unit;

/// Rows of a table and items of a fan-out that are drawn; the JSON form has all.
const ROWS: usize = 24;
/// Characters of one value that are drawn.
const LONG: usize = 4096;

/// A record, to be drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Facts {
    /// Which of several it is.
    pub of: String,
    /// Name and value.
    pub known: Vec<(String, String)>,
    /// Long texts, by name.
    pub texts: Vec<(String, String)>,
    /// Names of what is not known.
    pub unknown: Vec<String>,
    /// Lists of records.
    pub tables: Vec<Table>,
}

/// A list of records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Table {
    /// Its name.
    pub name: String,
    /// What all rows share.
    pub each: Vec<(String, String)>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// Rows that are left out.
    pub left: usize,
}

/// The records of an output: one, or one per item of a fan-out; and how many items are left out.
pub(super) fn facts(output: &Value, units: &BTreeMap<String, Unit>) -> (Vec<Facts>, usize) {
    let Value::Object(fields) = output else { return (Vec::new(), 0) };
    match fields.get("items") {
        Some(Value::Array(items)) if fields.len() == 1 => {
            let drawn = items.iter().take(ROWS).filter_map(Value::as_object);
            let drawn = drawn.map(|item| Facts {
                of: item.values().find_map(Value::as_str).unwrap_or_default().to_owned(),
                ..record(item, units)
            });
            (drawn.collect(), items.len().saturating_sub(ROWS))
        }
        _ => (vec![record(fields, units)], 0),
    }
}

fn record(fields: &Map<String, Value>, units: &BTreeMap<String, Unit>) -> Facts {
    let mut facts = Facts::default();
    collect(&mut facts, "", fields, units);
    facts
}

fn collect(facts: &mut Facts, before: &str, fields: &Map<String, Value>, units: &BTreeMap<String, Unit>) {
    for (field, value) in fields {
        let name = format!("{before}{field}");
        match value {
            Value::Null => facts.unknown.push(name),
            Value::Object(inner) if before.is_empty() && !inner.is_empty() => {
                collect(facts, &format!("{name}."), inner, units);
            }
            Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_object) => {
                facts.tables.push(table(name, list, units));
            }
            Value::String(text) if text.len() > 120 || text.contains('\n') => {
                facts.texts.push((name, cut(text)));
            }
            other => facts.known.push((name, shown(other, units.get(field).copied()))),
        }
    }
}

fn table(name: String, list: &[Value], units: &BTreeMap<String, Unit>) -> Table {
    let records: Vec<&Map<String, Value>> = list.iter().filter_map(Value::as_object).collect();
    let mut names: Vec<&String> = Vec::new();
    for field in records.iter().flat_map(|record| record.keys()) {
        if !names.contains(&field) {
            names.push(field);
        }
    }
    let cell = |record: &Map<String, Value>, name: &String| {
        shown(record.get(name).unwrap_or(&Value::Null), units.get(name).copied())
    };
    let same = |name: &String| {
        let first = cell(records[0], name);
        (records.len() > 1 && records.iter().all(|record| cell(record, name) == first)).then_some(first)
    };
    let (mut each, mut columns) = (Vec::new(), Vec::new());
    for name in names {
        match same(name) {
            Some(value) => each.push((name.clone(), value)),
            None => columns.push(name.clone()),
        }
    }
    let rows =
        records.iter().take(ROWS).map(|record| columns.iter().map(|name| cell(record, name)).collect());
    let rows: Vec<Vec<String>> = rows.collect();
    Table { left: records.len().saturating_sub(rows.len()), name, each, columns, rows }
}

/// A value in words.
fn shown(value: &Value, unit: Option<Unit>) -> String {
    match (value, unit) {
        (Value::Null, _) => "unknown".to_owned(),
        (Value::Bool(yes), _) => if *yes { "yes" } else { "no" }.to_owned(),
        (Value::Number(number), Some(Unit::Bytes)) => match (number.as_u64(), number.as_i64()) {
            (Some(size), _) => bytes(size),
            (None, Some(less)) => format!("-{}", bytes(less.unsigned_abs())),
            (None, None) => number.to_string(),
        },
        (Value::Number(number), Some(Unit::Seconds)) => format!("{number} s"),
        (Value::Number(number), Some(Unit::GpuHours)) => {
            number.as_f64().map_or_else(|| number.to_string(), |hours| format!("{hours:.2} GPU-hours"))
        }
        (Value::Number(number), None) => number.to_string(),
        (Value::String(text), _) if text.is_empty() => "empty".to_owned(),
        (Value::String(text), _) => cut(text),
        (Value::Array(list), _) if list.is_empty() => "none".to_owned(),
        (Value::Array(list), unit) if list.iter().all(|one| !one.is_object() && !one.is_array()) => {
            cut(&list.iter().map(|one| shown(one, unit)).collect::<Vec<_>>().join(", "))
        }
        (Value::Object(map), _) if map.is_empty() => "none".to_owned(),
        (other, _) => cut(&other.to_string()),
    }
}

/// A size with two decimals, so that sums can be checked.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.2} {unit}", bytes as f64 / *size as f64),
        None => format!("{bytes} bytes"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONG) {
        Some((at, _)) => format!("{} … ({} characters in all)", &text[..at], text.chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_is_named_and_never_zero() {
        let units =
            BTreeMap::from([("free".to_owned(), Unit::Bytes), ("lost_gpu_hours".to_owned(), Unit::GpuHours)]);
        let output = json!({ "free": 7_247_757_312u64, "tried": null, "at": { "node": "gpu-21", "pid": null },
            "lost_gpu_hours": 0.0, "ranks": [5, 6], "none": [], "torn": false });
        let (facts, left) = facts(&output, &units);
        insta::assert_yaml_snapshot!(facts, @r#"
        - of: ""
          known:
            - - free
              - 6.75 GiB
            - - at.node
              - gpu-21
            - - lost_gpu_hours
              - 0.00 GPU-hours
            - - ranks
              - "5, 6"
            - - none
              - none
            - - torn
              - "no"
          texts: []
          unknown:
            - tried
            - at.pid
          tables: []
        "#);
        assert_eq!(left, 0);
    }

    #[test]
    fn what_all_rows_share_is_said_once() {
        let cards = json!({ "gpus": [
            { "index": 0, "name": "H100", "used": 5, "sram": null }, { "index": 1, "name": "H100", "sram": null },
        ] });
        let (facts, _) = facts(&cards, &BTreeMap::from([("used".to_owned(), Unit::Bytes)]));
        let table = &facts[0].tables[0];
        assert_eq!(table.each, [("name".into(), "H100".into()), ("sram".into(), "unknown".into())]);
        assert_eq!(table.columns, ["index", "used"]);
        assert_eq!(table.rows, [["0", "5 bytes"], ["1", "unknown"]]);
        let many = json!({ "items": (0..100).map(|n| json!({ "node": format!("gpu-{n}"), "n": n })).collect::<Vec<_>>() });
        let (drawn, left) = super::facts(&many, &BTreeMap::new());
        assert_eq!((drawn.len(), left, drawn[3].of.as_str()), (24, 76, "gpu-3"));
    }
}
