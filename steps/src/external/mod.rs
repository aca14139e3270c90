//! Steps in any language: an executable `runbook-step-NAME` that speaks JSON over its standard streams.
//!
//! One process per question; `docs/external-steps.md` is the protocol. They are run through the site like any other command, so
//! that they can be recorded and rehearsed. What an executable says is never trusted to fit: every answer is bounded and checked
//! against what it described of itself.

mod call;
mod describe;
mod protocol;
mod schema;
mod step;
#[cfg(test)]
mod tests;

pub use call::{Executable, PREFIX};
pub use describe::{describe, described_by};
pub use step::External;
