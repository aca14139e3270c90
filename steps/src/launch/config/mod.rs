//! Configuration files that a launch line refers to: what each value is and where it stands, and how to set another with
//! the smallest edit. Pure: text in, text out.
//!
//! A file is parsed by a library that keeps spans, and edited by byte range; comments, order and quoting stay. Every edit is
//! proven by reading the result back: nothing but the wanted value may have changed.

mod doc;
mod json;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

pub(super) use doc::{Doc, Format, Lookup, New};
