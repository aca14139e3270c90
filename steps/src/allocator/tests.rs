//! The model against traces whose outcome is known.

mod capped;
mod middle;
mod peer_tests;
mod told;
mod traces;
