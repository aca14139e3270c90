//! The tables that `torch.cuda.memory_summary()` prints, found in a log.

mod cell;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use table::{MemorySummary, Tables};
