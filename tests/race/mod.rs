//! Engines of two hosts that race for one job and one node.

mod driver;
mod fifty;
mod hosts;
mod witness;
