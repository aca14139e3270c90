//! The language as data: its words with what they mean, and the JSON Schema by which editors complete and explain them.

mod schema;
mod template;
#[cfg(test)]
mod tests;
mod words;

pub use schema::schema;
