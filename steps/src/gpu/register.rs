//! The step kinds of this family.

use engine::step::{Read, Registry};

use super::health::Health;
use super::tenants::Tenants;

/// Adds `gpu.health` and `gpu.tenants`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(Health));
    registry.register(Read::new(Tenants));
}
