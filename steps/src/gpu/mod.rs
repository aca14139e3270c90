//! Steps about the GPUs of a node: `gpu.health`.

mod ask;
mod bus;
mod cards;
#[cfg(test)]
pub(crate) mod fake;
mod health;
mod kernel;
mod klog;
mod params;
mod policy;
mod register;
mod smi;
pub(crate) mod text;
mod verdict;
mod xid;

pub(crate) use register::register;
