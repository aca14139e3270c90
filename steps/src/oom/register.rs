//! The family's step kinds.

use engine::step::{Read, Registry};

use super::read::OomRead;

/// Adds `oom.read`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(OomRead));
}
