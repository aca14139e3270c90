//! The steps that ship with `runbook`, and the sites they act on.

<<<<<<< HEAD
mod gpu;
mod launch;
mod oom;

use engine::step::Registry;

/// Every step kind that ships.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    gpu::register(&mut registry);
    launch::register(&mut registry);
    oom::register(&mut registry);
    registry
=======
#[allow(dead_code, unused_imports, reason = "registered once reports and checkpoints can be told here")]
mod job;
mod slurm;

/// Adds every step kind that ships to a registry.
pub fn register(registry: &mut engine::step::Registry) {
    slurm::register(registry);
>>>>>>> w/slurm
}
