//! Where the memory of a device lies idle.

use schemars::JsonSchema;
use serde::Serialize;

use super::content::{Segment, Snapshot, State};

/// What a snapshot shows of one device. Bytes unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Holdings {
    /// Held of the driver.
    pub(crate) reserved: u64,
    /// In use.
    pub(crate) allocated: u64,
    /// Freed, while another stream still uses it.
    pub(crate) pending: u64,
    /// Free.
    pub(crate) free: u64,
    /// The largest free stretch: no larger request is served without asking the driver.
    pub(crate) largest_free: u64,
    /// Free, in segments of which another part is in use: the driver cannot have it back.
    pub(crate) stranded: u64,
    /// Free, in pools of CUDA graphs or of a `MemPool`.
    pub(crate) private_free: u64,
    /// How many segments.
    pub(crate) segments: u64,
    /// The segments that strand most, the worst first; at most 8.
    pub(crate) worst: Vec<Stranding>,
}

/// A segment that is partly in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Stranding {
    /// Where it begins.
    pub(crate) address: u64,
    /// Bytes of it.
    pub(crate) total: u64,
    /// Bytes of it that are free.
    pub(crate) free: u64,
    /// The largest free stretch, bytes.
    pub(crate) largest_free: u64,
    /// How many blocks of it are in use.
    pub(crate) in_use: u64,
    /// Of the pool for requests up to 1 MiB.
    pub(crate) small: bool,
}

const MOST_SEGMENTS: usize = 8;

/// Adds up one device.
pub(super) fn holdings(snapshot: &Snapshot, device: u64) -> Holdings {
    let mut sum = Holdings::default();
    for segment in snapshot.segments.iter().filter(|segment| segment.device == device) {
        let seen = look(segment);
        let add = |to: &mut u64, bytes: u64| *to = to.saturating_add(bytes);
        add(&mut sum.reserved, segment.total);
        add(&mut sum.free, seen.free);
        for block in &segment.blocks {
            match block.state {
                State::Allocated => add(&mut sum.allocated, block.size),
                State::Pending => add(&mut sum.pending, block.size),
                State::Free => {}
            }
        }
        sum.segments += 1;
        if segment.private {
            add(&mut sum.private_free, seen.free);
            continue;
        }
        sum.largest_free = sum.largest_free.max(seen.largest_free);
        if seen.in_use > 0 && seen.free > 0 {
            add(&mut sum.stranded, seen.free);
            sum.worst.push(seen);
        }
    }
    sum.worst.sort_by_key(|segment| (std::cmp::Reverse(segment.free), segment.address));
    sum.worst.truncate(MOST_SEGMENTS);
    sum
}

fn look(segment: &Segment) -> Stranding {
    let free = || segment.blocks.iter().filter(|block| block.state == State::Free).map(|block| block.size);
    Stranding {
        address: segment.address,
        total: segment.total,
        free: free().fold(0, u64::saturating_add),
        largest_free: free().max().unwrap_or(0),
        in_use: segment.blocks.iter().filter(|block| block.state != State::Free).count() as u64,
        small: segment.small,
    }
}
