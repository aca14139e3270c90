//! The steps that ship with `runbook`, and the sites they act on.

mod checkpoint;
mod gpu;

/// Adds every step kind that ships to a registry.
pub fn register(registry: &mut engine::step::Registry) {
    checkpoint::register(registry);
    gpu::register(registry);
}
