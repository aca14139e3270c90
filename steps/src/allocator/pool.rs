//! The free blocks of one size class.

use std::collections::{BTreeMap, BTreeSet};

use super::block::BlockId;

/// Which of the two pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Small,
    Large,
}

/// A free block's place in the order: stream, size, address.
pub(super) type Key = (u64, u64, u64, BlockId);

/// Free blocks by stream, size and address; unmapped ranges by address.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    pub(super) free: BTreeSet<Key>,
    pub(super) unmapped: BTreeMap<u64, BlockId>,
    /// How often a block was looked for in it, counted while garbage is collected.
    pub(super) searches: u64,
}
