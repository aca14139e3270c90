//! The steps that ship with `runbook`, and the sites they act on.

#[allow(dead_code, unused_imports, reason = "registered once reports and checkpoints can be told here")]
mod job;
mod slurm;

/// Adds every step kind that ships to a registry.
pub fn register(registry: &mut engine::step::Registry) {
    slurm::register(registry);
}
