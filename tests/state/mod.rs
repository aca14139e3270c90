//! Where runs are kept: the state directory and a PostgreSQL database.

mod lost;
mod program;
mod server;
mod stores;

pub(crate) use server::Server;
