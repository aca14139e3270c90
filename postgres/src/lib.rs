//! The state of a team in a PostgreSQL database: the second implementation of the engine's
//! [`Store`](engine::journal::Store), for sites whose teams outgrow one file system.
//!
//! The lines of a journal are the same as in a state directory, chained by the same hashes. What is only here: the database
//! refuses whatever does not follow, and attests which account wrote what.

mod address;
mod budget;
mod database;
mod error;
mod journal;
mod listener;
mod locks;
mod passfile;
mod runner;
mod runs;
mod schema;
mod session;
mod tls;

pub use database::{Database, is_address};
pub use error::DatabaseError;
pub use schema::{Prepared, prepare};
