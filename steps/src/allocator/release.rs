//! Giving memory back to the driver.

use super::block::BlockId;
use super::model::Allocator;
use super::pool::Class;

impl Allocator {
    /// Gives back everything that can go: unsplit free segments, and whole free pages of expandable ones. It is
    /// `empty_cache()`, and what precedes every out-of-memory message.
    pub(crate) fn release_cached(&mut self) {
        for class in [Class::Large, Class::Small] {
            let free: Vec<BlockId> = self.pool(class).free.iter().map(|key| key.3).collect();
            self.work += free.len() as u64;
            let mut expandable = Vec::new();
            for id in free {
                let block = &self.blocks[id];
                if block.is_expandable() {
                    expandable.push(id);
                } else if !block.is_split() {
                    self.release_segment(id);
                }
            }
            for id in expandable {
                self.unmap(id);
            }
        }
    }

    pub(super) fn release_segment(&mut self, id: BlockId) {
        self.unshelve(id);
        let block = self.blocks.remove(id);
        self.device.release(block.size);
        self.stats.reserved -= block.size;
        self.stats.segments -= 1;
    }

    /// With `max_split_size_mb`: gives back one sufficient oversize block, or the largest until they suffice
    /// (`release_available_cached_blocks`); whether that made room.
    pub(super) fn release_oversize(&mut self, class: Class, stream: u64, size: u64) -> bool {
        let Some(max_split) = self.settings.max_split else { return false };
        let wanted = size.max(max_split);
        let enough = (stream, wanted, 0, BlockId::FIRST);
        let free = &self.pool(class).free;
        let single = free.range(enough..).next().filter(|key| key.0 == stream).map(|key| key.3);
        let smaller: Vec<BlockId> = free
            .range(..enough)
            .rev()
            .take_while(|key| key.0 == stream && key.1 >= max_split)
            .map(|key| key.3)
            .collect();
        if let Some(id) = single.filter(|id| !self.blocks[*id].is_expandable()) {
            self.release_segment(id);
            return true;
        }
        let mut released = 0;
        for id in smaller {
            if released >= wanted {
                break;
            }
            self.work += 1;
            if !self.blocks[id].is_expandable() {
                released += self.blocks[id].size;
                self.release_segment(id);
            }
        }
        released >= wanted
    }
}
