//! The steps that ship with `runbook`, and the sites they act on.

mod gpu;
mod launch;
mod oom;
mod slurm;

use engine::step::Registry;

/// Every step kind that ships.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    gpu::register(&mut registry);
    launch::register(&mut registry);
    oom::register(&mut registry);
    slurm::register(&mut registry);
    registry
}
