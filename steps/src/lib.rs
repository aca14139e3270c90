//! The steps that ship with `runbook`, and the sites they act on.

mod oom;

/// Adds every step kind that ships to a registry.
pub fn register(registry: &mut engine::step::Registry) {
    oom::register(registry);
}
