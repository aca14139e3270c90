//! [`Node`](super::node::Node) → [`Document`](super::document::Document), with every mistake reported.

mod gate;
pub(crate) mod input;
mod names;
mod next;
mod node;
mod policy;
mod runbook;
mod step;

pub(crate) use names::check_outcome_name;
#[cfg(test)]
pub(crate) use policy::POLICY_KEYS;
pub(crate) use policy::policy;
pub(crate) use runbook::document;
