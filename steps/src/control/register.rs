//! The steps of this family.

use engine::step::{Change, Read, Registry};

use super::ask::Ask;
use super::decide::Decide;
use super::notify::Notify;
use super::wait::Wait;

/// Adds the steps of this family.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(Ask));
    registry.register(Read::new(Decide));
    registry.register(Change::new(Notify));
    registry.register(Read::new(Wait));
}
