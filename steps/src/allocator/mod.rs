//! A model of PyTorch's native CUDA caching allocator: what it asks of the driver, what it hands out, and when it gives up.
//!
//! It follows `DeviceCachingAllocator` (c10/cuda/CUDACachingAllocator.cpp, v2.1–v2.15): two pools, best fit, splitting and
//! merging of blocks, return of wholly free segments when the driver refuses, expandable segments, and the cap of a memory
//! fraction with its garbage collection. It is pure: no memory lies behind it, no clock, no I/O. With it a recorded trace can be replayed under another setting before a
//! relaunch is spent on that setting.
//!
//! Left out, and a replay says so where it matters: private pools of CUDA graphs, and events of `record_stream` (a trace has
//! the moment at which such a block really became free).

mod adopt;
mod block;
mod cap;
mod device;
#[cfg(test)]
mod dice;
mod expandable;
mod model;
mod pool;
mod release;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use adopt::{Found, InUse};
pub(crate) use block::BlockId;
pub(crate) use cap::Cap;
pub(crate) use device::Device;
#[cfg(test)]
pub(crate) use dice::Dice;
pub(crate) use model::Allocator;
pub(crate) use settings::Settings;
