//! Steps that steer a run: decide, ask, wait, notify.

mod ask;
mod decide;
mod notify;
mod ordered;
mod wait;
mod webhook;

/// Adds the family's steps.
pub(crate) fn register(registry: &mut engine::step::Registry) {
    use engine::step::{Change, Read};
    registry.register(Read::new(decide::Decide));
    registry.register(Read::new(ask::Ask));
    registry.register(Read::new(wait::Wait));
    registry.register(Change::new(notify::Notify));
}
