//! End to end: the binary as a person, a script or a signal meets it; one binary, one module per subject.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod cli;
mod gallery;
mod shape;
