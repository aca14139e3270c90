//! What must not be written or printed is removed by value, in one place: where an entry, an event or a question leaves
//! the walk. Steps get the real values, and digests are of the real content.

mod forms;
mod marks;
mod redactor;
mod seal;
mod texts;
mod world;

pub(crate) use marks::{GONE, lost};
pub use redactor::{RedactError, Redactor, SHORTEST};
pub use seal::Seal;
pub(crate) use world::guarded;
