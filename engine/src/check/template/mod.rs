//! Templates: where they are, whether they are well-formed, and whether what they name exists.

mod check;
mod extras;
mod scan;

pub(super) use check::{Names, Place, Read, Record, Templates};
pub(crate) use scan::{is_one_expression, is_template};
