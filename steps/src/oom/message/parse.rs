//! Which family a passage belongs to.

use super::{OomMessage, Passage, benign, caching, driver, frameworks, host};

/// Reads the out-of-memory message that begins on the passage's first line, if there is one.
///
/// The order matters: a retry warning quotes "OOM", the host allocator also "tried to allocate", and the driver's bare
/// words occur inside the texts of the libraries above it.
pub(crate) fn read(passage: &Passage) -> Option<OomMessage> {
    benign::read(passage)
        .or_else(|| host::read(passage))
        .or_else(|| frameworks::read(passage))
        .or_else(|| caching::read(passage))
        .or_else(|| driver::read(passage))
}
