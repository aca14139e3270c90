//! The worlds that steps act on: the live one, and recorded ones.

mod drain;
mod files;
mod host;
mod live;
mod local;
mod marks;
mod remote;
mod wrap;

#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod sshd;

pub use live::LiveSite;
