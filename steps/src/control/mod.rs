//! Steps that steer a run: decide, ask, wait, notify.

mod ask;
mod decide;
mod notify;
mod ordered;
mod register;
mod wait;
mod webhook;

pub(crate) use register::register;
