//! One run acts on a target at a time: leases with fencing numbers.

mod dir;
mod memory;
mod mount;
mod port;
#[cfg(test)]
mod tests;

pub use dir::DirLocks;
pub use memory::MemoryLocks;
pub(crate) use port::DYING;
pub use port::{Claim, Held, Lease, LockError, Locks, Taken};
