//! One value out of what is set and what is wanted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::knowledge::Knowledge;
use super::settings::{Settings, get, put};
use super::version::Releases;

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
