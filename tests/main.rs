//! End to end: the binary as a person, a script or a signal meets it.

#![expect(clippy::unwrap_used, reason = "a test that breaks says where")]

mod cli;
mod shape;
