//! A plan as a picture that people look at.

mod svg;
mod text;

pub(crate) use svg::svg;
pub(crate) use text::text;
