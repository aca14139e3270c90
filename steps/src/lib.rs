//! The steps that ship with `runbook`, and the sites they act on.

mod launch;

/// Adds every step kind that ships.
pub fn register(registry: &mut engine::step::Registry) {
    launch::register(registry);
}
