//! Commands that an author writes: `shell` on this machine, `ssh` on a host.

mod answer;
mod params;
mod readonly;
mod register;
mod steps;
mod unbounded;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use register::register;
