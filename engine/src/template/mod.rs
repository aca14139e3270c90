//! Templates: minijinja, strict about undefined names, quoting for the shell, and aware of unknown values.
//!
//! An unknown value is `null` in an output. Reading one is noticed, whatever the expression does with it, so that a
//! comparison with something unknown can never count as false. In a dry run, values that only a real run can know are
//! *open*; reading one is noticed in the same way.

mod delimiters;
mod environment;
mod evaluate;
mod names;
mod reads;
mod shell;
mod stand_in;
mod tracked;

pub(crate) use delimiters::{Code, code, is_template, one_expression, string};
pub use environment::{FILTERS, TESTS};
pub use evaluate::{Evaluated, TemplateError, condition, params, text, value};
pub use names::{Binding, Names, Standing};
pub(crate) use stand_in::substituted;
pub use stand_in::with_words;
