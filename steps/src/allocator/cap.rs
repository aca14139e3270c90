//! What a memory fraction adds: a cap on what is reserved, and garbage collection before the cap is reached.

use super::block::BlockId;
use super::model::Allocator;

/// A memory fraction (`set_per_process_memory_fraction`, `per_process_memory_fraction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cap {
    /// Bytes that may be reserved: a message's "allowed".
    pub(crate) allowed: u64,
    /// `garbage_collection_threshold`, in thousandths of that. `None`: it is off.
    pub(crate) collect_above: Option<u64>,
}

impl Allocator {
    /// Sets the cap; what is reserved beyond it stays.
    pub(crate) fn set_cap(&mut self, cap: Cap) {
        self.cap = Some(cap);
    }

    /// Whether the cap forbids another segment of so many bytes; the driver is not asked then.
    pub(super) fn forbids(&self, segment: u64) -> bool {
        self.cap.is_some_and(|cap| self.stats.reserved.saturating_add(segment) > cap.allowed)
    }

    /// Bytes reserved from which on garbage is collected.
    pub(super) fn collects_above(&self) -> Option<u64> {
        let cap = self.cap?;
        // Not more than 2^64 thousandths: devices have 2^46 bytes.
        Some(cap.allowed.saturating_mul(cap.collect_above?) / 1000)
    }

    /// Gives back whole segments of the large pool that have lain idle longest, counted in searches of that pool, before a new
    /// segment is asked for (`garbage_collect_cached_blocks`). Expandable segments are never given back so.
    pub(super) fn collect_garbage(&mut self) {
        let Some(above) = self.collects_above() else { return };
        let Some(mut target) = self.stats.reserved.checked_sub(above).filter(|target| *target > 0) else {
            return;
        };
        let now = self.large.searches;
        let idle: Vec<(BlockId, u64, bool)> = self
            .large
            .free
            .iter()
            .map(|key| (key.3, &self.blocks[key.3]))
            .filter(|(_, block)| !block.is_split())
            .map(|(id, block)| (id, now - block.shelved_at, block.is_expandable()))
            .collect();
        self.work += idle.len() as u64;
        let (mut total, mut count) = (idle.iter().map(|(_, age, _)| *age).sum::<u64>(), idle.len() as u64);
        let mut left: Vec<(BlockId, u64)> =
            idle.into_iter().filter(|(_, _, expandable)| !expandable).map(|(id, age, _)| (id, age)).collect();
        while target > 0 && count > 0 {
            // All that are older than the average go, also beyond the target.
            let average = total as f64 / count as f64;
            let (old, young): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, age)| *age as f64 >= average);
            if old.is_empty() {
                return;
            }
            for (id, age) in old {
                target = target.saturating_sub(self.blocks[id].size);
                (total, count) = (total - age, count - 1);
                self.release_segment(id);
            }
            left = young;
        }
    }
}
