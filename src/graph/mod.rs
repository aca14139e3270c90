//! A plan as a picture that people look at.

mod png;
mod svg;
mod text;

pub(crate) use png::png;
pub(crate) use svg::svg;
pub(crate) use text::text;
