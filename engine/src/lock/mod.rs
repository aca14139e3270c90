//! One run acts on a target at a time: leases with fencing numbers.

mod memory;
mod port;

pub use memory::MemoryLocks;
pub use port::{Claim, Held, Lease, LockError, Locks, Taken};
