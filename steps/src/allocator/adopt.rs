//! Beginning in the middle: a segment as it was found.

use super::block::{Block, BlockId};
use super::model::Allocator;
use super::pool::Class;

/// A segment that is held already, not an expandable one.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) address: u64,
    pub(crate) total: u64,
    pub(crate) small: bool,
    pub(crate) stream: u64,
    /// What is in use in it, by address.
    pub(crate) live: Vec<InUse>,
}

/// A block that is in use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InUse {
    pub(crate) address: u64,
    /// Bytes that were asked for.
    pub(crate) requested: u64,
    /// Bytes of the block; `None`: as many as the request takes.
    pub(crate) size: Option<u64>,
}

impl Allocator {
    /// Takes a segment over; the blocks in use, in their order. `None`: it does not fit on the device, or its blocks not in it.
    pub(crate) fn adopt(&mut self, found: &Found) -> Option<Vec<BlockId>> {
        let end = found.address.checked_add(found.total)?;
        let class = if found.small { Class::Small } else { Class::Large };
        let mut blocks: Vec<Block> = Vec::new();
        let mut at = found.address;
        for (index, &InUse { address, requested, size }) in found.live.iter().enumerate() {
            let limit = found.live.get(index + 1).map_or(end, |next| next.address);
            let room = limit.checked_sub(address).filter(|_| address >= at && limit <= end)?;
            if address > at {
                blocks.push(Block::new(at, address - at, class, found.stream));
            }
            let size = size.unwrap_or_else(|| self.settings.block_size(requested));
            // What is too little to be split off belongs to the block.
            let rest = room.checked_sub(size)?;
            let size = if self.settings.splits(class, size, rest) { size } else { room };
            let mut block = Block::new(address, size, class, found.stream);
            (block.allocated, block.requested) = (true, requested);
            at = address + block.size;
            blocks.push(block);
        }
        if at < end {
            blocks.push(Block::new(at, end - at, class, found.stream));
        }
        self.device.take(found.total, end)?;
        self.stats.reserved += found.total;
        self.stats.segments += 1;
        let split = blocks.len() > 1;
        let mut live = Vec::new();
        let mut prev = None;
        for block in blocks {
            let id = self.blocks.add(block);
            self.blocks.link(prev, id, None);
            prev = Some(id);
            if block.allocated {
                self.stats.allocated += block.size;
                self.stats.requested += block.requested;
                live.push(id);
            } else {
                self.shelve(id);
                if split {
                    self.stats.inactive_split += block.size;
                    self.stats.inactive_splits += 1;
                }
            }
        }
        Some(live)
    }
}
