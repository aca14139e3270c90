//! The walk: decide, act, append, until the run ends or a person is needed.

mod act;
mod attempt;
mod conclude;
mod confirm;
mod ending;
mod evaluate;
mod gate;
mod hold;
mod read;
mod rollback;
mod scope;
mod unwind;
mod visit;
mod walker;

pub use ending::Ending;
pub use hold::Hold;
pub use rollback::Rollback;
pub use unwind::Undoable;
pub use walker::{WalkError, Walker, World};

pub(crate) use attempt::Attempt;
pub(crate) use conclude::{gather, outcome};
pub(crate) use evaluate::{Item, blame_unknown, items};
pub(crate) use scope::{Entering, entering, initial_vars};
