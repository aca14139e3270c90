//! Steps about the checkpoints of a training job: `checkpoint.latest`, `checkpoint.pin`.

mod check;
mod choose;
mod died;
mod gather;
mod hints;
mod latest;
mod layout;
mod pin;
mod register;
mod resume;
mod room;
mod seal;
mod survey;
mod told;
mod world_size;
mod writing;

pub(crate) use choose::{Candidate, Survey};
pub(crate) use hints::named_by;
pub(crate) use register::register;
pub(crate) use survey::latest;
