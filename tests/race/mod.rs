//! Engines of two hosts that race for one job and one node.

mod driver;
mod hosts;
mod race;
mod witness;
