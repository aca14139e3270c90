//! What a lever can be expected to free, as far as the error's numbers tell.

use serde_json::{Map, Value};

use super::choose::Rung;
use crate::size::show;

/// How much the job lacked, and which part of the memory the lever shrinks; `None` where the numbers are not known.
///
/// What each lever frees follows from where memory goes: model states (weights, gradients, optimizer) as in
/// arXiv:1910.02054, activations as in arXiv:2205.05198.
pub(super) fn estimate(error: &Map<String, Value>, rung: Rung) -> Option<String> {
    let bytes = |name: &str| error.get(name).and_then(Value::as_u64);
    let (tried, free) = (bytes("tried")?, bytes("free")?);
    let lacked = tried.checked_sub(free).filter(|lacked| *lacked > 0)?;
    let frees = match rung {
        Rung::MicroBatch => "frees about half of the activations, nothing of the model states",
        Rung::Sequence => "frees at least half of the activations, nothing of the model states",
        Rung::ActivationCheckpointing => "frees most of the activations, nothing of the model states",
        Rung::Sharding => "frees up to half of the sharded model states, nothing of the activations",
    };
    let live = match bytes("allocated") {
        Some(allocated) => format!(" {} were in use.", show(allocated)),
        None => String::new(),
    };
    Some(format!(
        "The job lacked {} at that moment ({} asked, {} free).{live} This {frees}; the error does not tell how these \
         divide.",
        show(lacked),
        show(tried),
        show(free)
    ))
}
