//! The family's entry in the registry.

use engine::step::Change;

use super::steps;

/// Adds the family's steps.
pub(crate) fn register(registry: &mut engine::step::Registry) {
    registry.register(Change::new(steps::Shell));
    registry.register(Change::new(steps::Ssh));
}
