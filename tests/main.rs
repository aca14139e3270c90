//! End to end: the binary as a person, a script or a signal meets it.

mod cli;
mod shape;
