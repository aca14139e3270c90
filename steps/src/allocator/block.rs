//! Blocks: stretches of a segment, linked with their neighbours in the order of their addresses.

use std::ops::{Index, IndexMut};

use super::pool::Class;

/// Names a block of one allocator, until it is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockId(u32);

impl BlockId {
    /// The lowest of all.
    pub(super) const FIRST: Self = Self(0);
}

/// The addresses of an expandable segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// The first address; pages are counted from it.
    pub(super) base: u64,
    /// Bytes of a page.
    pub(super) page: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) class: Class,
    pub(super) stream: u64,
    /// The expandable segment that it is a part of.
    pub(super) range: Option<Range>,
    pub(super) prev: Option<BlockId>,
    pub(super) next: Option<BlockId>,
    pub(super) allocated: bool,
    pub(super) mapped: bool,
    pub(super) requested: u64,
    /// How often its pool had been searched when it was put among the free ones.
    pub(super) shelved_at: u64,
}

impl Block {
    pub(super) fn new(address: u64, size: u64, class: Class, stream: u64) -> Self {
        Self {
            address,
            size,
            class,
            stream,
            range: None,
            prev: None,
            next: None,
            allocated: false,
            mapped: true,
            requested: 0,
            shelved_at: 0,
        }
    }

    /// Whether it is only a part of its segment.
    pub(super) fn is_split(&self) -> bool {
        self.prev.is_some() || self.next.is_some()
    }

    pub(super) fn is_expandable(&self) -> bool {
        self.range.is_some()
    }
}

/// All blocks, by their id.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    all: Vec<Block>,
    vacant: Vec<BlockId>,
}

impl Index<BlockId> for Blocks {
    type Output = Block;

    fn index(&self, id: BlockId) -> &Block {
        &self.all[id.0 as usize]
    }
}

impl IndexMut<BlockId> for Blocks {
    fn index_mut(&mut self, id: BlockId) -> &mut Block {
        &mut self.all[id.0 as usize]
    }
}

impl Blocks {
    pub(super) fn add(&mut self, block: Block) -> BlockId {
        if let Some(id) = self.vacant.pop() {
            self[id] = block;
            return id;
        }
        self.all.push(block);
        BlockId(self.all.len() as u32 - 1)
    }

    pub(super) fn remove(&mut self, id: BlockId) -> Block {
        self.vacant.push(id);
        self[id]
    }

    /// Puts `id` between two blocks, of which either may be missing.
    pub(super) fn link(&mut self, prev: Option<BlockId>, id: BlockId, next: Option<BlockId>) {
        if let Some(prev) = prev {
            self[prev].next = Some(id);
        }
        if let Some(next) = next {
            self[next].prev = Some(id);
        }
        let block = &mut self[id];
        (block.prev, block.next) = (prev, next);
    }

    /// What an expandable block can become by mapping the pages behind it.
    pub(super) fn grown(&self, id: BlockId) -> u64 {
        let block = &self[id];
        let behind = block.next.map(|next| &self[next]).filter(|next| !next.mapped);
        block.size + behind.map_or(0, |behind| behind.size)
    }
}
