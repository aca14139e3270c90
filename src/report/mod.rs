//! A run as a report: one model, drawn as HTML, Markdown or JSON.

mod chart;
mod escape;
mod facts;
mod gates;
mod gather;
mod html;
mod markdown;
mod memory;
mod model;
mod open;
#[cfg(test)]
mod tests;
mod units;
mod whole;
mod words;

pub(crate) use html::html;
pub(crate) use markdown::markdown;
pub(crate) use model::{Chain, Report};
pub(crate) use whole::report;
