//! The steps of this family.

use engine::step::{Read, Registry};

use super::ask::Ask;
use super::decide::Decide;

/// Adds the steps of this family.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(Ask));
    registry.register(Read::new(Decide));
}
