//! A run: what happened so far, as a fold over its journal, and what comes next.

mod consent;
mod decide;
mod entry;
mod gate;
mod state;
mod unwinding;

pub use consent::{Replied, Reply, Rule, Word};
pub use decide::{Decision, decide};
pub use entry::{Act, Entry, Mode, RunId, Started, Verdict};
pub use gate::{Answer, AskedOf, Bound, Decided, Gate, GateItem, Operator};
pub use state::{Intended, Output, Phase, Position, RunState, StateError, Visit};
pub use unwinding::{Change, Undoing};
