//! `oom.classify`: what kind of out-of-memory error it was, from its numbers.

mod evidence;
mod facts;
mod foreign;
mod rules;
mod step;
#[cfg(test)]
mod tests;
mod verdict;

pub(super) use step::OomClassify;
