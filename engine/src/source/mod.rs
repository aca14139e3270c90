//! YAML text → [`Document`](document::Document): what was written, with the place of every word.

pub(crate) mod convert;
pub(crate) mod document;
mod duration;
mod events;
mod fields;
mod load;
pub(crate) mod node;
mod parts;
mod place;
mod yaml;

pub use convert::Config;
pub use convert::is_reserved;
pub use duration::parse as parse_duration;
pub use load::{MAX_BYTES, from_bytes, from_reader};
pub(crate) use place::place_in_scalar;
pub(crate) use yaml::parse;
