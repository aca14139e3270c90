//! The checker as a language server: what is wrong as one types, where nodes are, what names stand for.

mod complete;
mod context;
mod document;
mod server;

pub(crate) use server::serve;
