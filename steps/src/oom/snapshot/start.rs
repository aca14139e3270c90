//! What was there before a trace begins, and the ways to lay it out for a replay.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::content::{Action, Entry, Snapshot, State};
use super::replay::LARGEST;
use crate::allocator::{Allocator, BlockId, Device, Found, InUse, Settings};
use crate::size::MIB;

/// A block that is in use when the trace begins.
#[derive(Debug, Clone, Copy)]
struct Held {
    requested: u64,
    /// Bytes of its block, where the snapshot still shows it.
    size: Option<u64>,
    stream: u64,
}

/// What is in use when a trace begins.
#[derive(Debug)]
pub(super) struct Start {
    /// By address.
    held: BTreeMap<u64, Held>,
    /// The segments that it lies in; `None` where they cannot be told.
    segments: Option<Vec<Found>>,
}

/// How to lay it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// In the segments in which it lay; side by side where these are not known.
    AsItWas,
    /// Without a hole: the best that expandable segments can have made of it.
    SideBySide,
    /// In one run, with the holes that were between: worse than expandable segments make it.
    WithHoles,
}

const MISFIT: &str = "what was in use before the trace begins does not fit the model";
/// The segment of the small pool; no other segment is as small.
const SMALL_SEGMENT: u64 = 2 * MIB;

impl Start {
    /// Reads it from the end: what the trace frees without having allocated it, and what is still in use at its end and was
    /// never allocated in it.
    pub(super) fn of(snapshot: &Snapshot, device: u64, trace: &[Entry]) -> Result<Self, String> {
        let mut held = BTreeMap::new();
        let mut live: HashSet<u64> = HashSet::new();
        for entry in trace {
            if entry.size > LARGEST {
                return Err("its sizes are impossible".to_owned());
            }
            match entry.action {
                Action::Alloc => {
                    live.insert(entry.address);
                }
                Action::FreeCompleted if !live.remove(&entry.address) => {
                    held.insert(
                        entry.address,
                        Held { requested: entry.size, size: None, stream: entry.stream },
                    );
                }
                _ => {}
            }
        }
        let segments = snapshot.segments.iter().filter(|segment| segment.device == device);
        for block in segments.flat_map(|segment| &segment.blocks) {
            if block.state != State::Free && !live.remove(&block.address) {
                if block.requested > LARGEST {
                    return Err("its sizes are impossible".to_owned());
                }
                let (requested, size, stream) = (block.requested, Some(block.size), block.stream);
                held.insert(block.address, Held { requested, size, stream });
            }
        }
        let segments = segments_before(snapshot, device, trace, &held);
        Ok(Self { held, segments })
    }

    /// Bytes of it.
    pub(super) fn bytes(&self) -> u64 {
        self.held.values().fold(0, |sum, held| sum.saturating_add(held.requested))
    }

    /// An allocator that holds it on a device of `budget` bytes, and its blocks by their address.
    pub(super) fn lay_out(
        &self,
        layout: Layout,
        settings: Settings,
        budget: u64,
        mut stream: impl FnMut(u64) -> Result<u64, String>,
    ) -> Result<(Allocator, HashMap<u64, BlockId>), String> {
        let mut live = HashMap::new();
        match (layout, &self.segments) {
            (Layout::AsItWas, Some(segments)) => {
                let mut allocator = Allocator::new(Device::new(budget, 0), settings);
                for found in segments {
                    let found = Found { stream: stream(found.stream)?, ..found.clone() };
                    let blocks = allocator.adopt(&found).ok_or(MISFIT)?;
                    live.extend(found.live.iter().map(|block| block.address).zip(blocks));
                }
                Ok((allocator, live))
            }
            (Layout::WithHoles, None) => Err("where it lay cannot be told".to_owned()),
            (Layout::WithHoles, Some(segments)) => {
                // With room to spare until the holes are given back.
                let mut allocator = Allocator::new(Device::new(budget * 2, 0), settings);
                let mut holes = Vec::new();
                for found in segments.iter().filter(|found| !found.live.is_empty()) {
                    let stream = stream(found.stream)?;
                    let mut at = found.address;
                    for &InUse { address, requested, size } in &found.live {
                        if address > at {
                            holes.push(allocator.malloc(address - at, stream).map_err(|_| MISFIT)?);
                        }
                        live.insert(address, allocator.malloc(requested, stream).map_err(|_| MISFIT)?);
                        at = address.saturating_add(size.unwrap_or_else(|| settings.block_size(requested)));
                    }
                    let end = found.address.saturating_add(found.total);
                    if at < end {
                        holes.push(allocator.malloc(end - at, stream).map_err(|_| MISFIT)?);
                    }
                }
                holes.into_iter().for_each(|hole| allocator.free(hole));
                allocator.release_cached();
                allocator.set_others(budget);
                Ok((allocator, live))
            }
            (Layout::AsItWas | Layout::SideBySide, _) => {
                let mut allocator = Allocator::new(Device::new(budget, 0), settings);
                for (address, held) in &self.held {
                    let block = allocator.malloc(held.requested, stream(held.stream)?).map_err(|_| MISFIT)?;
                    live.insert(*address, block);
                }
                Ok((allocator, live))
            }
        }
    }
}

/// The segments when the trace begins: those at its end, without those that it took and with those that it gave back.
fn segments_before(
    snapshot: &Snapshot,
    device: u64,
    trace: &[Entry],
    held: &BTreeMap<u64, Held>,
) -> Option<Vec<Found>> {
    let mut segments: BTreeMap<u64, Found> = BTreeMap::new();
    for segment in snapshot.segments.iter().filter(|segment| segment.device == device) {
        if segment.expandable {
            return None;
        }
        let stream = segment.blocks.first()?.stream;
        let (address, total, small) = (segment.address, segment.total, segment.small);
        segments.insert(address, Found { address, total, small, stream, live: Vec::new() });
    }
    for entry in trace.iter().rev() {
        let (address, total, stream) = (entry.address, entry.size, entry.stream);
        match entry.action {
            Action::SegmentAlloc => drop(segments.remove(&address)),
            Action::SegmentFree => {
                let small = total == SMALL_SEGMENT;
                segments.insert(address, Found { address, total, small, stream, live: Vec::new() });
            }
            Action::SegmentMap | Action::SegmentUnmap => return None,
            _ => {}
        }
    }
    let mut placed = 0;
    for found in segments.values_mut() {
        let end = found.address.checked_add(found.total)?;
        found.live = held
            .range(found.address..end)
            .map(|(address, held)| InUse { address: *address, requested: held.requested, size: held.size })
            .collect();
        placed += found.live.len();
    }
    (placed == held.len()).then(|| segments.into_values().collect())
}
