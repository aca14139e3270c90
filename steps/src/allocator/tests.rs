//! The model against traces whose outcome is known.

mod middle;
mod peer_tests;
mod told;
mod traces;
