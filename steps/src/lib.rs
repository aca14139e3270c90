//! The steps that ship with `runbook`, and the sites they act on.

pub mod duration;
pub mod site;
#[doc(hidden)]
pub mod testkit;
