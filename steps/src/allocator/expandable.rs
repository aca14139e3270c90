//! Expandable segments: a range of addresses whose pages are mapped and unmapped one by one.

use super::block::{Block, BlockId, Range};
use super::model::Allocator;
use super::pool::Class;
use super::settings::{LARGE_SEGMENT, SMALL_SEGMENT};

impl Allocator {
    /// A free block of at least `size` bytes, by mapping pages (`try_allocate_expandable_block`).
    pub(super) fn expand(&mut self, class: Class, stream: u64, size: u64) -> Option<BlockId> {
        let mut id = self.expandable_run(class, stream, size)?;
        if !self.blocks[id].mapped {
            let first = self.blocks[id].size.min(size);
            id = self.map(id, first)?;
        }
        while self.blocks[id].size < size {
            let next = self.blocks[id].next?;
            let more = (size - self.blocks[id].size).min(self.blocks[next].size);
            id = self.map(next, more)?;
        }
        self.unshelve(id);
        Some(id)
    }

    /// The lowest run of free and unmapped blocks that can hold `size`; a new segment if there is none.
    fn expandable_run(&mut self, class: Class, stream: u64, size: u64) -> Option<BlockId> {
        let pool = match class {
            Class::Small => &self.small,
            Class::Large => &self.large,
        };
        let blocks = &self.blocks;
        for id in pool.unmapped.values().copied() {
            self.work += 1;
            if blocks[id].stream != stream {
                continue;
            }
            let before = blocks[id].prev.filter(|prev| !blocks[*prev].allocated);
            let start = before.unwrap_or(id);
            let (mut room, mut at) = (0, Some(start));
            while let Some(next) = at.filter(|next| room < size && !blocks[*next].allocated) {
                self.work += 1;
                room += blocks[next].size;
                at = blocks[next].next;
            }
            if room >= size {
                return Some(start);
            }
        }
        let page = if class == Class::Small { SMALL_SEGMENT } else { LARGE_SEGMENT };
        let (address, bytes) = self.device.reserve(page)?;
        let mut block = Block::new(address, bytes, class, stream);
        (block.range, block.mapped) = (Some(Range { base: address, page }), false);
        let id = self.blocks.add(block);
        self.pool(class).unmapped.insert(address, id);
        Some(id)
    }

    /// Maps the pages that the first `size` bytes of an unmapped block touch, and merges it with its free neighbours; the
    /// block that holds them then, which is among the free ones.
    fn map(&mut self, id: BlockId, size: u64) -> Option<BlockId> {
        let block = self.blocks[id];
        let page = block.range?.page;
        // Unmapped blocks begin and end at a page.
        let count = size.div_ceil(page);
        if !self.device.create_pages(page, count) {
            return None;
        }
        let mapped = count * page;
        self.pool(block.class).unmapped.remove(&block.address);
        self.blocks[id].mapped = true;
        if mapped < block.size {
            let mut rest = Block::new(block.address + mapped, block.size - mapped, block.class, block.stream);
            (rest.range, rest.mapped) = (block.range, false);
            let address = rest.address;
            let rest = self.blocks.add(rest);
            self.blocks.link(Some(id), rest, block.next);
            self.blocks[id].size = mapped;
            self.pool(block.class).unmapped.insert(address, rest);
        }
        let (prev, next) = (self.blocks[id].prev, self.blocks[id].next);
        self.merge(id, prev);
        self.merge(id, next);
        self.shelve(id);
        self.stats.reserved += mapped;
        Some(id)
    }

    /// Unmaps the pages that lie wholly in a free block; what lies around them stays.
    pub(super) fn unmap(&mut self, id: BlockId) {
        let block = self.blocks[id];
        let Some(Range { base, page }) = block.range else { return };
        let first = (block.address - base).next_multiple_of(page) + base;
        let last = (block.address + block.size - base) / page * page + base;
        if first >= last {
            return;
        }
        self.device.release_pages(page, (last - first) / page);
        self.unshelve(id);
        let (before, after) = (first - block.address, block.address + block.size - last);
        let kept = |address, size| {
            let mut kept = Block::new(address, size, block.class, block.stream);
            kept.range = block.range;
            kept
        };
        if before > 0 {
            let kept = self.blocks.add(kept(block.address, before));
            self.blocks.link(block.prev, kept, Some(id));
            self.shelve(kept);
        }
        if after > 0 {
            let kept = self.blocks.add(kept(last, after));
            self.blocks.link(Some(id), kept, self.blocks[id].next);
            self.shelve(kept);
        }
        let middle = &mut self.blocks[id];
        (middle.address, middle.size, middle.mapped) = (first, last - first, false);
        let (prev, next) = (middle.prev, middle.next);
        self.merge(id, prev);
        self.merge(id, next);
        self.stats.reserved -= last - first;
        let (address, class, whole) = {
            let block = &self.blocks[id];
            (block.address, block.class, !block.is_split())
        };
        if whole {
            // Nothing of the segment is mapped any more: its range goes back.
            self.blocks.remove(id);
        } else {
            self.pool(class).unmapped.insert(address, id);
        }
    }
}
