//! The tests of the whole: one binary, one module per subject.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod gallery;
mod shape;
