//! The steps that ship with `runbook`, and the sites they act on.

mod gpu;
pub mod site;
#[doc(hidden)]
pub mod testkit;

/// Adds every step kind that ships to a registry.
pub fn register(registry: &mut engine::step::Registry) {
    gpu::register(registry);
}
