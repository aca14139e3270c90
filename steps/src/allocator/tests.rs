//! The model against traces whose outcome is known.

mod peer_tests;
mod told;
mod traces;
