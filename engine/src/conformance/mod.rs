//! What every [`Store`](crate::journal::Store) has to do, as tests: for whoever writes one. A test that fails panics.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that breaks says where")]

mod budgets;
mod journals;
mod locks;
mod replies;
mod subject;

pub use budgets::budgets;
pub use journals::journals;
pub use locks::locks;
pub use replies::replies;
pub use subject::{Subject, begun, now, run, stopped};
