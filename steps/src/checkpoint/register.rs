//! The step kinds of this family.

use engine::step::{Change, Read, Registry};

use super::latest::Latest;
use super::pin::Pin;

/// Adds `checkpoint.latest` and `checkpoint.pin`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(Latest));
    registry.register(Change::new(Pin));
}
