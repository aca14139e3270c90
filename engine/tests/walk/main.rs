//! The walker against a small world of fakes: a world that counts what is done to it.

#![expect(clippy::unwrap_used, reason = "a test that breaks says where")]

mod budget;
mod crash;
mod dry_run;
mod gates;
mod journal;
mod kit;
mod nowhere;
mod paths;
mod rollback;
