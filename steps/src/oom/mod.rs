//! Out-of-memory errors: read them from the logs of a job, and tell what kind they are.

#[cfg(test)]
mod fixtures;
mod kind;
mod message;
mod size;
mod text;
