//! Steps that edit the batch script by which a training is launched: settings of its environment, of PyTorch's allocator,
//! and the levers that shrink its working set.
//!
//! The script, and the configuration files that its launch lines refer to, are edited where they lie, byte range by byte
//! range, so that the diff at the gate shows nothing but the change. Nothing is edited that is not surely understood.

mod allocator;
mod change;
mod config;
mod edit;
mod edits;
mod lever;
mod register;
mod restore;
mod script;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use register::register;
