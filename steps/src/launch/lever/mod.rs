//! `launch.lever`: the next lever against a true out-of-memory, in the order from least to most invasive.
//!
//! Where the launch shows which framework trains, the framework's own settings are edited where they stand (`ladder`);
//! elsewhere the customary environment variables are (`choose`).

mod batch;
mod choose;
mod chosen;
mod estimate;
mod files;
mod framework;
#[cfg(test)]
mod framework_tests;
mod ladder;
mod names;
mod step;
#[cfg(test)]
mod tests;
mod turns;

pub(super) use step::Lever;
