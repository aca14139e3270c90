//! The kinds of this family.

use engine::step::{Change, Registry};

use super::allocator::Allocator;
use super::edit::Edit;
use super::lever::Lever;

/// Adds the kinds of this family.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Change::new(Edit));
    registry.register(Change::new(Allocator));
    registry.register(Change::new(Lever));
}
