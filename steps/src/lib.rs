//! The steps that ship with `runbook`, and the sites they act on.

mod allocator;
mod checkpoint;
mod control;
pub mod duration;
pub mod external;
mod gpu;
#[cfg(test)]
mod hostile_tests;
mod job;
mod launch;
mod oom;
mod shell;
pub mod site;
mod size;
mod slurm;
pub mod target;
#[doc(hidden)]
pub mod testkit;
mod text;
#[cfg(test)]
mod undo_tests;
mod wiring;

pub use slurm::{HeadOfJob, heads_of_jobs};

use engine::step::Registry;

/// What takes hostile bytes, for fuzzers: each takes any bytes, and must not panic.
#[doc(hidden)]
pub mod hostile {
    pub use crate::gpu::hostile as gpu;
    pub use crate::oom::examine_any as snapshot;
    pub use crate::oom::read_any as log;
    pub use crate::slurm::hostile::{hostlist, json as slurm_json, text as slurm_text};
}

/// Adds every step kind that ships to a registry.
pub fn register(registry: &mut Registry) {
    checkpoint::register(registry);
    control::register(registry);
    gpu::register(registry);
    launch::register(registry);
    oom::register(registry);
    shell::register(registry);
    slurm::register(registry);
    job::register(registry, wiring::probes());
}
