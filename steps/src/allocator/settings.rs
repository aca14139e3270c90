//! What `PYTORCH_CUDA_ALLOC_CONF` can change of the model, and the sizes that follow from it.

use super::pool::Class;
use crate::size::MIB;

/// `kMinBlockSize`: every block is a multiple of it.
const MIN_BLOCK: u64 = 512;
/// `kSmallSize`: the largest request that the small pool serves.
pub(super) const SMALL_SIZE: u64 = MIB;
/// `kSmallBuffer`: what the small pool asks of the driver.
pub(super) const SMALL_SEGMENT: u64 = 2 * MIB;
/// `kLargeBuffer`: what the large pool asks for, below [`MIN_LARGE`].
pub(super) const LARGE_SEGMENT: u64 = 20 * MIB;
/// `kMinLargeAlloc`: from here on a request gets a segment of its own.
const MIN_LARGE: u64 = 10 * MIB;
/// `kRoundLarge`: the sizes of those segments are multiples of it.
pub(super) const ROUND_LARGE: u64 = 2 * MIB;
/// Intervals of `roundup_power2_divisions`: 1 MiB, 2 MiB … 32 GiB and above.
const INTERVALS: usize = 16;

/// Settings of the allocator; the default is PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `expandable_segments`.
    pub(crate) expandable: bool,
    /// `max_split_size_mb`, in bytes: larger blocks are not split. `None`: no such limit.
    pub(crate) max_split: Option<u64>,
    /// `max_non_split_rounding_mb`, in bytes: how much larger than the request an unsplit block may be.
    pub(crate) non_split_rounding: u64,
    /// `roundup_power2_divisions`, one for each interval of sizes; 0 and 1: off.
    pub(crate) roundup: [u64; INTERVALS],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            expandable: false,
            max_split: None,
            non_split_rounding: LARGE_SEGMENT,
            roundup: [0; INTERVALS],
        }
    }
}

impl Settings {
    /// The same number of divisions for all sizes.
    #[cfg(test)]
    pub(crate) fn rounding_up(mut self, divisions: u64) -> Self {
        self.roundup = [divisions; INTERVALS];
        self
    }

    /// The size of the block that a request of `size` bytes gets (`round_size`). `size` is at most 2^60.
    pub(crate) fn block_size(&self, size: u64) -> u64 {
        if size < MIN_BLOCK {
            return MIN_BLOCK;
        }
        let divisions = self.divisions(size);
        if divisions > 1 && size > MIN_BLOCK.saturating_mul(divisions) {
            let floor = 1 << size.ilog2();
            let step = (floor >> divisions.ilog2()).max(1);
            return size.next_multiple_of(step);
        }
        size.next_multiple_of(MIN_BLOCK)
    }

    fn divisions(&self, size: u64) -> u64 {
        let interval = size.ilog2().saturating_sub(MIB.ilog2()) as usize;
        self.roundup[interval.min(INTERVALS - 1)]
    }

    /// Whether the rest of a block is split off, if `size` bytes of it are taken (`should_split`).
    pub(super) fn splits(&self, class: Class, size: u64, rest: u64) -> bool {
        if class == Class::Small || self.expandable {
            rest >= MIN_BLOCK
        } else {
            self.max_split.is_none_or(|max_split| size < max_split) && rest > SMALL_SIZE
        }
    }

    /// What is asked of the driver for a block of `size` bytes (`get_allocation_size`): the "tried to allocate" of a message.
    pub(crate) fn segment_size(size: u64) -> u64 {
        if size <= SMALL_SIZE {
            SMALL_SEGMENT
        } else if size < MIN_LARGE {
            LARGE_SEGMENT
        } else {
            size.next_multiple_of(ROUND_LARGE)
        }
    }
}
