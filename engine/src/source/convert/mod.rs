//! [`Node`](super::node::Node) → [`Document`](super::document::Document), with every mistake reported.

mod config;
mod differs;
mod gate;
pub(crate) mod input;
mod names;
mod next;
mod node;
mod policy;
mod runbook;
mod scenario;
mod step;

pub use config::Config;
pub(crate) use names::check_outcome_name;
pub use names::is_reserved;
#[cfg(test)]
pub(crate) use policy::POLICY_KEYS;
pub(crate) use policy::policy;
pub(crate) use runbook::document;
#[cfg(test)]
pub(crate) use scenario::SCENARIO_KEYS;
pub(crate) use scenario::scenario;

/// Every key of a runbook, by the map that has it, and the words that some keys take.
#[cfg(test)]
pub(crate) fn keys() -> [(&'static str, Vec<&'static str>); 15] {
    [
        ("runbook", runbook::KEYS.to_vec()),
        ("differs", differs::keys()),
        ("input", input::KEYS.to_vec()),
        ("input types", input::TYPES.to_vec()),
        ("node", node::COMMON.to_vec()),
        ("step", node::STEP.to_vec()),
        ("end", node::END.to_vec()),
        ("ends", node::ENDS.map(crate::plan::EndKind::word).to_vec()),
        ("subrun", node::SUBRUN_WITH.to_vec()),
        ("edge", next::EDGE.to_vec()),
        ("gate", gate::KEYS.to_vec()),
        ("undo", step::UNDO.to_vec()),
        ("retry", step::RETRY.to_vec()),
        ("for each", step::FOR_EACH.to_vec()),
        ("breaks", step::RETRIED.map(|(word, _)| word).to_vec()),
    ]
}
