//! Templates: where they are, whether they are well-formed, and whether what they name exists.

mod arithmetic;
mod check;
mod explain;
mod extras;
mod operations;
mod passed;
mod scan;

pub(super) use check::{Names, Place, Read, Record, Templates};
pub(super) use explain::{Explained, explain};
pub(super) use passed::{Passed, passed};
pub(crate) use scan::is_one_expression;
