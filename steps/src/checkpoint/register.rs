//! The step kinds of this family.

use engine::step::{Read, Registry};

use super::latest::Latest;

/// Adds `checkpoint.latest`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(Latest));
}
