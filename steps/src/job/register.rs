//! The steps of this family.

use engine::step::{Read, Registry};

use super::probe::Probes;
use super::start::Start;
use super::watch::Watch;

/// Adds `job.start` and `job.watch`.
pub(crate) fn register(registry: &mut Registry, probes: Probes) {
    registry.register(Read::new(Start));
    registry.register(Read::new(Watch::new(probes)));
}
