//! [`Node`](super::node::Node) → [`Document`](super::document::Document), with every mistake reported.

mod gate;
pub(crate) mod input;
mod names;
mod next;
mod node;
mod runbook;
mod step;

pub(crate) use names::check_outcome_name;
pub(crate) use runbook::document;
