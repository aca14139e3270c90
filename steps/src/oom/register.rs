//! The family's step kinds.

use engine::step::{Read, Registry};

use super::classify::OomClassify;
use super::read::OomRead;

/// Adds `oom.read` and `oom.classify`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(OomRead));
    registry.register(Read::new(OomClassify));
}
