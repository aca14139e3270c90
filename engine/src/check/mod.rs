//! Runbooks as written → [`Plan`](crate::plan::Plan), with all errors at once.

pub mod codes;
mod dominators;
mod findings;
mod flow;
mod library;
mod lower;
mod order;
mod outcomes;
mod outline;
mod params;
mod passed;
mod resolve;
mod run;
mod runbook;
mod schema;
mod template;
mod todo;

pub(crate) use findings::{Findings, list};
pub use library::{Library, NoLibrary};
pub use outline::{Outline, OutlineNode, Root};
pub use run::{Checked, Context, check};
pub use todo::left_to_do;

/// The code of a step that is not known: whoever knows of steps elsewhere may add them and check again.
pub const STEP_UNKNOWN: &str = codes::STEP_UNKNOWN;
/// The code of a step that is known elsewhere and cannot be used.
pub const STEP_EXTERNAL: &str = codes::STEP_EXTERNAL;
/// The code of what an author left to do.
pub const TEXT_TODO: &str = codes::TEXT_TODO;
