//! Steps that touch nothing: deciding and asking.

mod ask;
mod decide;
mod register;

pub(crate) use register::register;
