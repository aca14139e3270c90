//! Steps about the checkpoints of a training job: `checkpoint.latest`.

mod check;
mod choose;
mod gather;
mod hints;
mod latest;
mod layout;
mod register;
mod resume;
mod seal;
mod survey;

pub(crate) use choose::{Candidate, Survey};
pub(crate) use register::register;
pub(crate) use survey::latest;
