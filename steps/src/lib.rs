//! The steps that ship with `runbook`, and the sites they act on.

mod control;
pub mod duration;
mod registry;
mod shell;
pub mod site;
#[doc(hidden)]
pub mod testkit;

pub use registry::registry;
