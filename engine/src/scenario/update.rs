//! A scenario's text with what came of it written down.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Happened, Scenario};

/// A line of a path is not longer.
const WIDTH: usize = 110;

/// The text with new expectations; all else stays as it is. Of outputs those fields stay that were looked at.
pub fn updated(text: &str, scenario: &Scenario, happened: &Happened) -> String {
    let at = scenario.expect_at.clone().unwrap_or(text.len()..text.len());
    let (before, after) = (&text[..at.start], &text[at.end..]);
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let looked = scenario.expect.as_ref().map(|expect| &expect.outputs);
    format!("{before}{gap}{}{after}", expectations(happened, looked))
}

fn expectations(happened: &Happened, looked: Option<&BTreeMap<String, Value>>) -> String {
    let mut text = "expect:\n  path:\n".to_owned();
    let mut line = "    [".to_owned();
    for (at, passed) in happened.path.iter().enumerate() {
        let last = at + 1 == happened.path.len();
        let word = format!("{passed}{}", if last { "]" } else { "," });
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = "     ".to_owned();
        }
        line.push_str(&word);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    text.push('\n');
    text.push_str(&format!("  end: {}\n", happened.end));
    let looked: Vec<_> = looked.into_iter().flatten().collect();
    if !looked.is_empty() {
        text.push_str("  outputs:\n");
        for (node, fields) in looked {
            let now = happened.outputs.get(node).map_or(Value::Null, |output| same_fields(fields, output));
            text.push_str(&format!("    {node}: {now}\n"));
        }
    }
    if happened.commands.is_empty() {
        text.push_str("  commands: []\n");
    } else {
        text.push_str("  commands:\n");
        // JSON texts are YAML, too.
        let lines =
            happened.commands.iter().map(|command| format!("    - {}\n", Value::from(command.as_str())));
        text.extend(lines);
    }
    text
}

/// The present values of the fields that were written.
fn same_fields(written: &Value, found: &Value) -> Value {
    match (written, found) {
        (Value::Object(fields), Value::Object(map)) => fields
            .iter()
            .map(|(name, value)| {
                (name.clone(), map.get(name).map_or(Value::Null, |found| same_fields(value, found)))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        _ => found.clone(),
    }
}
