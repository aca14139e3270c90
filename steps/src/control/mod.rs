//! Steps around the others: deciding, asking, waiting, telling.

mod ask;
mod decide;
mod notify;
mod register;
mod wait;

pub(crate) use register::register;
