//! Memory snapshots that a job left behind (`torch.cuda.memory._dump_snapshot`): read without running anything in them, added
//! up, and replayed.

mod content;
mod holes;
mod pickle;
mod replay;
mod report;
mod start;
mod step;
#[cfg(test)]
mod tests;
mod value;

pub(super) use replay::Cure;
pub(super) use step::OomSnapshot;

/// Reads a snapshot from any bytes: what a fuzzer calls. Nothing panics, nothing is run.
pub fn examine_any(bytes: &[u8]) -> bool {
    report::examine(bytes, &report::Wanted::default()).is_ok()
}
