//! TOML → entries.

use toml_edit::{Document, InlineTable, Item, Table, Value};

use super::doc::{Entry, Scalar};

/// The values of a TOML text, in the order in which they stand.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let document = Document::parse(text).map_err(|error| format!("it is not TOML: {}", error.message()))?;
    let mut walk = Walk { text, entries: Vec::new() };
    walk.table(document.as_table(), &mut Vec::new());
    walk.entries.sort_by_key(|entry| entry.range.start);
    Ok(walk.entries)
}

struct Walk<'t> {
    text: &'t str,
    entries: Vec<Entry>,
}

impl Walk<'_> {
    fn table(&mut self, table: &Table, path: &mut Vec<String>) {
        for (name, item) in table {
            path.push(name.to_owned());
            let key = table.key(name).and_then(toml_edit::Key::span).unwrap_or_default();
            match item {
                Item::Value(value) => self.value(value, key, path),
                // A table's own entry has no value that could be edited.
                Item::Table(inner) => self.table(inner, path),
                Item::ArrayOfTables(tables) => {
                    for (index, inner) in tables.iter().enumerate() {
                        path.push(format!("[{index}]"));
                        self.table(inner, path);
                        path.pop();
                    }
                }
                Item::None => {}
            }
            path.pop();
        }
    }

    fn inline(&mut self, table: &InlineTable, path: &mut Vec<String>) {
        for (name, value) in table {
            path.push(name.to_owned());
            let key = table.key(name).and_then(toml_edit::Key::span).unwrap_or_default();
            self.value(value, key, path);
            path.pop();
        }
    }

    fn value(&mut self, value: &Value, key: std::ops::Range<usize>, path: &mut Vec<String>) {
        let range = value.span().unwrap_or_default();
        let written = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let scalar = match value {
            Value::Boolean(value) => Scalar::Bool(*value.value()),
            Value::String(value) => Scalar::Text(value.value().clone()),
            Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => Scalar::Number(written),
            Value::Array(_) | Value::InlineTable(_) => Scalar::Inner,
        };
        self.entries.push(Entry { path: path.clone(), value: scalar, range, key, own: true });
        match value {
            Value::Array(array) => {
                for (index, item) in array.iter().enumerate() {
                    path.push(format!("[{index}]"));
                    self.value(item, 0..0, path);
                    path.pop();
                }
            }
            Value::InlineTable(table) => self.inline(table, path),
            _ => {}
        }
    }
}
