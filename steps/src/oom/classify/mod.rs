//! `oom.classify`: what kind of out-of-memory error it was, from its numbers.

mod elsewhere;
mod evidence;
mod facts;
mod foreign;
#[cfg(test)]
mod quality;
mod rules;
mod step;
#[cfg(test)]
mod tests;
mod verdict;

pub(super) use step::OomClassify;
