//! The kinds of this family.

use engine::step::{Change, Registry};

use super::edit::Edit;

/// Adds the kinds of this family.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Change::new(Edit));
}
