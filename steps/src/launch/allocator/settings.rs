//! The text of the variable: `key:value,key:value`, as `ConfigTokenizer` in c10/core/AllocatorConfig.h reads it, and one
//! text out of what is set and what is wanted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::knowledge::Knowledge;
use super::version::Releases;

/// Keys and values in the order in which they stand; each key once.
pub(super) type Settings = Vec<(String, String)>;

/// Reads the text. White space counts for nothing, a comma at the end is allowed, the last of duplicates wins.
///
/// # Errors
/// A text on which the allocator gives up, with the reason.
pub(super) fn parse(text: &str) -> Result<Settings, String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut settings = Settings::new();
    for item in items(&text)? {
        let (key, value) =
            item.split_once(':').ok_or_else(|| format!("`{item}` has no colon between key and value"))?;
        if key.is_empty() || value.is_empty() {
            return Err(format!("`{item}` lacks its key or its value"));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !key.chars().all(word) {
            return Err(format!("`{key}` is not a key"));
        }
        put(&mut settings, key, value);
    }
    Ok(settings)
}

/// Splits at commas outside of brackets.
fn items(text: &str) -> Result<Vec<&str>, String> {
    let mut items = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.checked_sub(1).ok_or("a bracket is closed that was never opened")?,
            ',' if depth == 0 => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a bracket is not closed".to_owned());
    }
    if start < text.len() {
        items.push(&text[start..]);
    }
    match items.iter().any(|item| item.is_empty()) {
        true => Err("there is nothing between two commas".to_owned()),
        false => Ok(items),
    }
}

/// Sets a key, in its place if it has one.
pub(super) fn put(settings: &mut Settings, key: &str, value: &str) {
    match settings.iter_mut().find(|(other, _)| other == key) {
        Some((_, old)) => value.clone_into(old),
        None => settings.push((key.to_owned(), value.to_owned())),
    }
}

/// The value of a key.
pub(super) fn get<'s>(settings: &'s Settings, key: &str) -> Option<&'s str> {
    settings.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
}

/// Writes the text.
pub(super) fn write(settings: &Settings) -> String {
    settings.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(",")
}

/// A key that the new value no longer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Dropped {
    /// The key.
    pub(crate) key: String,
    /// The value that it had or was to have.
    pub(crate) value: String,
    /// Why it goes.
    pub(crate) why: String,
}

/// The new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) settings: Settings,
    pub(super) dropped: Vec<Dropped>,
    pub(super) notes: Vec<String>,
}

/// Puts the wanted keys over the present ones, takes `remove` away, and leaves out what must not stand together.
///
/// # Errors
/// Why there is no such value: a key that may be unknown to the job's release, an illegal value, another backend.
pub(super) fn merge(
    knowledge: &Knowledge,
    current: &Settings,
    wanted: &Settings,
    remove: &[String],
    releases: &Releases,
) -> Result<Merged, String> {
    let mut merged = Merged { settings: current.clone(), dropped: Vec::new(), notes: Vec::new() };
    for (key, value) in current {
        knowledge
            .legal_on_any(key, value, releases)
            .map_err(|why| format!("the present setting cannot have worked: {why}"))?;
        if !knowledge.has(key) {
            merged.notes.push(format!("{key} is not a key that is known here; it is kept as it is."));
        }
    }
    for key in remove {
        merged.drop(key, "it was to be removed");
    }
    for (key, value) in wanted {
        knowledge.legal_on_all(key, value, releases)?;
        put(&mut merged.settings, key, value);
    }
    let expandable = get(&merged.settings, "expandable_segments") == Some("True");
    if expandable && get(&merged.settings, "backend") == Some("cudaMallocAsync") {
        return Err(
            "backend:cudaMallocAsync has no expandable segments; they need the native backend".to_owned()
        );
    }
    if expandable {
        merged.drop(
            "max_split_size_mb",
            "with expandable segments it prevents no fragmentation, and PyTorch 2.1 to 2.4 crash on the pair",
        );
    }
    if let (Some(split), Some(segment)) =
        (get(&merged.settings, "max_split_size_mb"), get(&merged.settings, "large_segment_size_mb"))
        && let (Ok(split), Ok(segment)) = (split.parse::<u64>(), segment.parse::<u64>())
        && split < segment
    {
        return Err(format!("max_split_size_mb:{split} is illegal below large_segment_size_mb:{segment}"));
    }
    if get(&merged.settings, "garbage_collection_threshold").is_some()
        && get(&merged.settings, "per_process_memory_fraction").is_none()
    {
        merged.notes.push(
            "garbage_collection_threshold has no effect unless the program limits its memory fraction."
                .to_owned(),
        );
    }
    Ok(merged)
}

impl Merged {
    fn drop(&mut self, key: &str, why: &str) {
        if let Some(at) = self.settings.iter().position(|(other, _)| other == key) {
            let (key, value) = self.settings.remove(at);
            self.dropped.push(Dropped { key, value, why: why.to_owned() });
        }
    }
}
