//! The tests of the whole: one binary, one module per subject.

mod gallery;
mod shape;
