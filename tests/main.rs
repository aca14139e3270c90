//! The tests of the whole: one binary, one module per subject.

#![expect(clippy::unwrap_used, reason = "a test that breaks says where")]

mod cli;
mod drift;
mod editor;
mod gallery;
mod harness;
mod on_cluster;
mod race;
mod shape;
#[cfg(feature = "postgres")]
mod state;
