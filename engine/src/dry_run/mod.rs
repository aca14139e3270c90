//! The run that changes nothing: what provably reads is executed, changes are previewed and their predicted effect is
//! carried forward, and where only a real run can know, the tree forks.

mod explore;
mod overlay;
mod tree;

pub use explore::dry_run;
pub use tree::{Branch, DryRun, How, Shown};
