//! The family's entry in the registry.

use engine::step::{Change, Read};

use super::{ask, decide, notify, wait};

/// Adds the family's steps.
pub(crate) fn register(registry: &mut engine::step::Registry) {
    registry.register(Read::new(decide::Decide));
    registry.register(Read::new(ask::Ask));
    registry.register(Read::new(wait::Wait));
    registry.register(Change::new(notify::Notify));
}
