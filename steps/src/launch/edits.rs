//! Wanted values and what they change in a script; shared by the steps of this family. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::script::{Reading, Refusal, Script, remove, set};
use crate::text::clean;

/// One setting that an edit changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Changed {
    /// The variable, the flag (`--micro-batch-size`) or the key (`training.seq_len`).
    pub(crate) name: String,
    /// Its value at the launch before; `null` if it was not set.
    pub(crate) before: Option<String>,
    /// Its value at the launch afterwards; `null` if it is no longer set.
    pub(crate) after: Option<String>,
    /// The line that sets it now, or set it before; counted from 1.
    pub(crate) line: Option<usize>,
    /// The configuration file, for a key of one; `null`: the script.
    #[serde(default)]
    pub(crate) file: Option<String>,
}

impl Changed {
    /// It is a flag or a word of the launch line.
    pub(super) fn is_word(&self) -> bool {
        self.name.starts_with('-') || self.name.ends_with('=')
    }

    /// A short line for people.
    pub(super) fn line(&self) -> String {
        let show = |value: &Option<String>| value.as_deref().map_or("not set".to_owned(), clean);
        let at = self.line.map_or(String::new(), |line| format!(" (line {line})"));
        format!("{}: {} -> {}{at}", self.name, show(&self.before), show(&self.after))
    }
}

/// A script with the wanted values.
#[derive(Debug)]
pub(super) struct Edited {
    pub(super) script: Script,
    pub(super) changed: Vec<Changed>,
    /// What a person should know about how sure the effect is.
    pub(super) notes: Vec<String>,
}

/// Gives variables these values at every launch, and takes others away.
///
/// # Errors
/// Where one of them cannot be edited safely; then nothing is.
pub(super) fn apply(script: &Script, wanted: &[(String, Option<String>)]) -> Result<Edited, Refusal> {
    let mut after = Script::parse(script.text())?;
    for (name, value) in wanted {
        after = match value {
            Some(value) => set(&after, name, value)?,
            None => remove(&after, name)?,
        };
    }
    let mut changed = Vec::new();
    let mut notes = Vec::new();
    let loads = after.loads();
    let mut added = Vec::new();
    for (name, value) in wanted {
        let (old, new) = (script.reading(name), after.reading(name));
        let part = |reading: &Reading| match reading {
            Reading::Known(setting) => (Some(setting.value.clone()), Some(setting.line), setting.exported),
            _ => (None, None, false),
        };
        let ((before, old_line, was_exported), (now, line, exported)) = (part(&old), part(&new));
        if before != now || was_exported != exported {
            changed.push(Changed {
                name: name.clone(),
                before,
                after: value.clone(),
                line: line.or(old_line),
                file: None,
            });
        }
        let Reading::Known(setting) = &new else { continue };
        if setting.soft {
            notes.push(overruled(name, setting.line));
        }
        if let Some(load) = loads.iter().find(|load| **load > setting.line) {
            notes
                .push(format!("Line {load} loads other settings after {name} is set, and may set it again."));
        } else if old == Reading::Absent {
            added.push(name.as_str());
        }
        if let Some(read) = setting.read_before {
            notes.push(format!("Line {read} reads {name} before line {} sets it.", setting.line));
        }
    }
    let names: Vec<&str> =
        wanted.iter().filter(|(_, v)| v.is_some()).map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        notes.extend(after.caveats(&names));
    }
    notes.dedup();
    Ok(Edited { script: after, changed, notes })
}

/// The exported variables whose values differ between two versions of a script, and what a person should know about the
/// others that do.
pub(super) fn variables(before: &Script, after: &Script) -> (Vec<Changed>, Vec<String>) {
    let mut changed = Vec::new();
    let mut notes = Vec::new();
    for name in before.assigned() {
        let (Reading::Known(old), Reading::Known(new)) = (before.reading(&name), after.reading(&name)) else {
            continue;
        };
        if old.value == new.value {
            continue;
        }
        notes.extend(new.soft.then(|| overruled(&name, new.line)));
        if new.exported {
            let (before, after) = (Some(old.value), Some(new.value));
            changed.push(Changed { name, before, after, line: Some(new.line), file: None });
        }
    }
    (changed, notes)
}

fn overruled(name: &str, line: usize) -> String {
    format!(
        "Line {line}: a value of {name} in the environment that the script is submitted from wins over the new one."
    )
}
