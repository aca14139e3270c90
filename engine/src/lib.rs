//! The engine of `runbook`: YAML → `Document` → [`plan::Plan`] → walk.
//!
//! It knows no step kind and no terminal: steps come in through the [`step::Registry`], the outside world through
//! [`site::Site`], people through the operator port, and everything that happens leaves as events.

pub mod account;
pub mod budget;
pub mod chart;
pub mod check;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod diagnostic;
pub mod dry_run;
pub mod event;
mod files;
pub mod glob;
pub mod journal;
pub mod language;
pub mod lock;
pub mod page;
pub mod plan;
pub mod policy;
pub mod redact;
pub mod run;
pub mod scenario;
pub mod site;
pub mod source;
mod spread;
pub mod step;
pub mod template;
pub mod walk;
