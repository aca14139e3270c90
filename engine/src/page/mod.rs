//! The written page beside a runbook: its Mermaid flow and its shell blocks, with their places; and whether the runbook still
//! does what the page says.

mod blocks;
mod check;
mod commands;
mod drift;
mod flow;
mod mermaid;
mod quotes;
mod spots;
mod stand_ins;
mod strict;
#[cfg(test)]
mod tests;
mod unfinished;
mod ways;
mod words;

pub use blocks::{Block, blocks};
pub(crate) use check::check;
pub use check::flowchart;
pub use commands::{commands, on_host};
pub use flow::{Flow, FlowArrow, FlowBox, FlowGroup};
pub use mermaid::{FlowError, flow};
pub use words::words;
