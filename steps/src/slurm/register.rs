//! The steps of this family.

use engine::step::{Change, Read, Registry};

use super::cancel::Cancel;
use super::drain::Drain;
use super::job::Job;
use super::submit::Submit;

/// Adds `slurm.job`, `slurm.cancel`, `slurm.submit` and `slurm.drain`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(Job));
    registry.register(Change::new(Cancel));
    registry.register(Change::new(Submit));
    registry.register(Change::new(Drain));
}
