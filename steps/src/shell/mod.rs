//! Commands that an author writes: `shell` on this machine, `ssh` on a host.

mod answer;
mod params;
mod readonly;
mod steps;
mod text;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use text::plain;

/// Adds the family's steps.
pub(crate) fn register(registry: &mut engine::step::Registry) {
    registry.register(engine::step::Change::new(steps::Shell));
    registry.register(engine::step::Change::new(steps::Ssh));
}
