//! Batch scripts: which value an environment variable has where the training is launched, and how to set another with
//! the smallest edit. Pure: text in, text out.
//!
//! What the shell would do is only claimed where it is certain. A value that is computed, set under a condition, or set in
//! text that another shell runs, is reported as such and never edited.

mod arithmetic;
mod edit;
mod facts;
mod flow;
mod launcher;
mod lexer;
mod parse;
mod reading;
#[cfg(test)]
mod tests;
mod touches;
mod trace;
#[cfg(test)]
mod trace_tests;
mod tracer;
mod value;

pub(super) use edit::{Refusal, remove, set, valid_name, valid_value};
#[cfg(test)]
pub(super) use parse::Misread;
pub(super) use parse::Script;
pub(super) use reading::{Reading, Unclear};
pub(super) use trace::{Line, Word, join};
