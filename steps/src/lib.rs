//! The steps that ship with `runbook`, and the sites they act on.

mod checkpoint;
mod control;
mod gpu;
mod job;
mod launch;
mod oom;
pub mod site;
mod slurm;
#[doc(hidden)]
pub mod testkit;
mod wiring;

use engine::step::Registry;

/// Every step kind that ships.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    checkpoint::register(&mut registry);
    control::register(&mut registry);
    gpu::register(&mut registry);
    launch::register(&mut registry);
    oom::register(&mut registry);
    slurm::register(&mut registry);
    job::register(&mut registry, wiring::probes());
    registry
}
