//! What people see and how they answer.

mod ask;
mod card;
mod clean;
mod elsewhere;
mod ending;
mod entry;
mod glyphs;
mod keyboard;
mod ledger;
mod price;
mod reporter;
mod screen;
mod spinner;
mod story;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod undoable;
mod wrap;

pub(crate) use ask::{Consent, Gates, Person};
pub(crate) use card::{Detail, Place, choice, clock, gate as gate_card, question as question_card, who};
pub(crate) use clean::{clean, exact, line};
pub(crate) use elsewhere::{Elsewhere, Patience};
pub(crate) use ending::{interrupted_hint, last_words, locked_hint, unwritten};
pub(crate) use keyboard::Keyboard;
pub(crate) use price::{counted, words as priced};
pub(crate) use reporter::Reporter;
pub(crate) use screen::{Paint, Screen, Stream, hide, secret, shown};
pub(crate) use story::story;
pub(crate) use table::table;
pub(crate) use tree::tree;
pub(crate) use undoable::undoable;
pub(crate) use wrap::{labelled, span, wrap};
