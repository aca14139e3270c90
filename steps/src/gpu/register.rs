//! The step kinds of this family.

use engine::step::{Read, Registry};

use super::health::Health;

/// Adds `gpu.health`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(Health));
}
