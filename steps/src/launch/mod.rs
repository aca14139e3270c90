//! Edits of the batch script by which a training is launched.

mod script;
