//! A plan as a picture: boxes and arrows without a notation, then as Mermaid or dot.

mod dot;
mod mermaid;
mod model;
mod walked;

pub use dot::dot;
pub use mermaid::mermaid;
pub use model::{Arrow, ArrowKind, Chart, ChartBox, Kind, Says};
