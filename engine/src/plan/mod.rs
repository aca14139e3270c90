//! The checked, resolved graph: the only thing the walker accepts. It is frozen into the journal's first entry.

mod edges;
mod graph;
mod input;
mod mentions;
mod node;

pub use edges::{Edge, Next};
pub use graph::{Plan, PlanData, PlanError};
pub(crate) use mentions::mentions;

pub use input::{InputSpec, InputType};
pub use node::{Approve, Body, EndKind, Enter, ForEach, Node, OnFailure, Retry, Scope, StepNode, Undo};
