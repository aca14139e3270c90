//! Steps about the GPUs of a node: `gpu.health`, `gpu.tenants`.

mod ask;
mod bus;
mod cards;
mod health;
mod hostile;
mod kernel;
mod klog;
mod owners;
mod params;
mod policy;
mod process;
mod register;
mod smi;
mod survey;
mod tenants;
mod verdict;
mod xid;
mod xml;

pub use hostile::hostile;
pub(crate) use register::register;
