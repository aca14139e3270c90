//! The steps of this family.

use engine::step::{Read, Registry};

use super::probe::Probes;
use super::watch::Watch;

/// Adds `job.watch`.
pub(crate) fn register(registry: &mut Registry, probes: Probes) {
    registry.register(Read::new(Watch::new(probes)));
}
