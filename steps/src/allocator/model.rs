//! `malloc` and `free`.

use super::block::{Block, BlockId, Blocks};
use super::cap::Cap;
use super::device::Device;
use super::pool::{Class, Key, Pool};
use super::settings::{SMALL_SIZE, Settings};

/// Requests above this are refused outright ("more than 1EB").
const LARGEST: u64 = 1 << 60;

/// The allocator gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Bytes that were asked of the driver: the message's "tried to allocate".
    pub(crate) tried: u64,
}

/// What `memory_stats()` has of it: bytes unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Allocated, as rounded.
    pub(crate) allocated: u64,
    /// Allocated, as asked for.
    pub(crate) requested: u64,
    /// Held of the driver.
    pub(crate) reserved: u64,
    /// Free, in segments that are partly in use; expandable segments do not count.
    pub(crate) inactive_split: u64,
    /// How many such blocks.
    pub(crate) inactive_splits: u64,
    /// How many segments; expandable ones do not count.
    pub(crate) segments: u64,
    /// How often everything was flushed for a request.
    pub(crate) retries: u64,
    /// How often it gave up.
    pub(crate) ooms: u64,
}

/// The allocator of one device.
#[derive(Debug, Clone)]
pub(crate) struct Allocator {
    pub(super) settings: Settings,
    pub(super) device: Device,
    pub(super) blocks: Blocks,
    pub(super) small: Pool,
    pub(super) large: Pool,
    pub(super) stats: Stats,
    pub(super) cap: Option<Cap>,
    /// Steps of the loops whose length depends on what was asked before.
    pub(super) work: u64,
}

impl Allocator {
    pub(crate) fn new(device: Device, settings: Settings) -> Self {
        Self {
            settings,
            device,
            blocks: Blocks::default(),
            small: Pool::default(),
            large: Pool::default(),
            stats: Stats::default(),
            cap: None,
            work: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn stats(&self) -> Stats {
        self.stats
    }

    #[cfg(test)]
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The address of a block that is in use.
    #[cfg(test)]
    pub(crate) fn address(&self, block: BlockId) -> u64 {
        self.blocks[block].address
    }

    /// Others hold so many bytes of the device from now on.
    pub(crate) fn set_others(&mut self, others: u64) {
        self.device.set_others(others);
    }

    /// How much was searched so far, to put an end to a replay that takes too long.
    pub(crate) fn work(&self) -> u64 {
        self.work
    }

    pub(super) fn pool(&mut self, class: Class) -> &mut Pool {
        match class {
            Class::Small => &mut self.small,
            Class::Large => &mut self.large,
        }
    }

    pub(super) fn key(&self, id: BlockId) -> Key {
        let block = &self.blocks[id];
        (block.stream, block.size, block.address, id)
    }

    /// Puts a block among the free ones.
    pub(super) fn shelve(&mut self, id: BlockId) {
        let (class, key) = (self.blocks[id].class, self.key(id));
        let pool = self.pool(class);
        pool.free.insert(key);
        self.blocks[id].shelved_at = pool.searches;
    }

    /// Takes a block from among the free ones.
    pub(super) fn unshelve(&mut self, id: BlockId) {
        let (class, key) = (self.blocks[id].class, self.key(id));
        self.pool(class).free.remove(&key);
    }

    /// Serves a request of `requested` bytes on `stream`.
    ///
    /// # Errors
    /// Neither the pool nor the driver has it, even after everything free was given back.
    pub(crate) fn malloc(&mut self, requested: u64, stream: u64) -> Result<BlockId, Refused> {
        if requested > LARGEST {
            self.stats.ooms += 1;
            return Err(Refused { tried: requested });
        }
        let size = self.settings.block_size(requested);
        let class = if size <= SMALL_SIZE { Class::Small } else { Class::Large };
        let segment = Settings::segment_size(size);
        let mut found = self.take_free(class, stream, size);
        if found.is_none() {
            self.collect_garbage();
            found = self.grow(class, stream, size, segment);
        }
        if found.is_none() && self.release_oversize(class, stream, size) {
            found = self.grow(class, stream, size, segment);
        }
        if found.is_none() {
            self.release_cached();
            self.stats.retries += 1;
            found = self.grow(class, stream, size, segment);
        }
        let Some(found) = found else {
            self.stats.ooms += 1;
            return Err(Refused { tried: segment });
        };
        let id = self.split(found, size);
        let block = &mut self.blocks[id];
        (block.allocated, block.requested) = (true, requested);
        self.stats.allocated += block.size;
        self.stats.requested += requested;
        Ok(id)
    }

    /// Best fit; there is no second try when the best candidate is refused.
    fn take_free(&mut self, class: Class, stream: u64, size: u64) -> Option<BlockId> {
        if self.collects_above().is_some() {
            self.pool(class).searches += 1;
        }
        let first = (stream, size, 0, BlockId::FIRST);
        let pool = match class {
            Class::Small => &self.small,
            Class::Large => &self.large,
        };
        let mut candidates = pool.free.range(first..).take_while(|key| key.0 == stream).map(|key| key.3);
        let mut id = candidates.next()?;
        if self.settings.expandable {
            // Prefer the block that has the least room to grow.
            for next in candidates {
                self.work += 1;
                if !self.blocks[id].is_expandable() || self.blocks.grown(next) >= self.blocks.grown(id) {
                    break;
                }
                id = next;
            }
        }
        let has = self.blocks[id].size;
        if let Some(max_split) = self.settings.max_split {
            if size < max_split && has >= max_split {
                return None;
            }
            if size >= max_split && has >= size.saturating_add(self.settings.non_split_rounding) {
                return None;
            }
        }
        self.unshelve(id);
        Some(id)
    }

    /// A new block of the driver's.
    fn grow(&mut self, class: Class, stream: u64, size: u64, segment: u64) -> Option<BlockId> {
        if self.forbids(segment) {
            return None;
        }
        if self.settings.expandable {
            return self.expand(class, stream, size);
        }
        let address = self.device.malloc(segment)?;
        self.stats.reserved += segment;
        self.stats.segments += 1;
        Some(self.blocks.add(Block::new(address, segment, class, stream)))
    }

    /// Keeps `size` bytes of a block that is in no pool; the rest goes back.
    fn split(&mut self, id: BlockId, size: u64) -> BlockId {
        let block = self.blocks[id];
        let (was_split, rest) = (block.is_split(), block.size - size);
        if self.settings.splits(block.class, size, rest) {
            let mut front = Block::new(block.address, size, block.class, block.stream);
            front.range = block.range;
            let front = self.blocks.add(front);
            self.blocks.link(block.prev, front, Some(id));
            self.blocks[id].address += size;
            self.blocks[id].size = rest;
            self.shelve(id);
            if !block.is_expandable() {
                if was_split {
                    self.stats.inactive_split -= size;
                } else {
                    self.stats.inactive_split += rest;
                    self.stats.inactive_splits += 1;
                }
            }
            return front;
        }
        if was_split && !block.is_expandable() {
            self.stats.inactive_split -= block.size;
            self.stats.inactive_splits -= 1;
        }
        id
    }

    /// Takes a block back.
    pub(crate) fn free(&mut self, id: BlockId) {
        let block = &mut self.blocks[id];
        block.allocated = false;
        let (prev, next, expandable) = (block.prev, block.next, block.is_expandable());
        self.stats.allocated -= block.size;
        self.stats.requested -= block.requested;
        for neighbour in [prev, next] {
            let gained = self.merge(id, neighbour);
            if gained > 0 && !expandable {
                self.stats.inactive_split -= gained;
                self.stats.inactive_splits -= 1;
            }
        }
        self.shelve(id);
        let block = &self.blocks[id];
        if block.is_split() && !expandable {
            self.stats.inactive_split += block.size;
            self.stats.inactive_splits += 1;
        }
    }

    /// Takes a free neighbour in the same mapped state into `id`; the bytes gained.
    pub(super) fn merge(&mut self, id: BlockId, neighbour: Option<BlockId>) -> u64 {
        let Some(neighbour) = neighbour else { return 0 };
        let (block, other) = (self.blocks[id], self.blocks[neighbour]);
        if other.allocated || other.mapped != block.mapped {
            return 0;
        }
        if other.mapped {
            self.unshelve(neighbour);
        } else {
            self.pool(other.class).unmapped.remove(&other.address);
        }
        if block.prev == Some(neighbour) {
            self.blocks[id].address = other.address;
            self.blocks.link(other.prev, id, block.next);
        } else {
            self.blocks.link(block.prev, id, other.next);
        }
        self.blocks[id].size += other.size;
        self.blocks.remove(neighbour);
        other.size
    }
}
