//! `launch.lever`: the next lever against a true out-of-memory, in the order from least to most invasive.

mod choose;
mod names;
mod step;
#[cfg(test)]
mod tests;

pub(super) use step::Lever;
