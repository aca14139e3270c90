//! The command on a database.
