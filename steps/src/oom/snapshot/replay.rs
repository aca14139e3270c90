//! Would the request that failed have been served with other settings? The trace of a snapshot, played again.
//!
//! It is played first with the settings that were in force: only if the model refuses exactly what the real allocator refused
//! is it believed. Then with expandable segments. Where they would have put what was allocated before the trace begins
//! nobody knows, so both ends are tried: everything side by side, and everything with the holes that were between. Only if both
//! say the same is there an answer.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::content::{Action, Entry, Snapshot};
use super::start::{Layout, Start};
use crate::allocator::{Cap, Settings};
use crate::size::exact;

/// What the replay of a trace says of the request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cure {
    /// With expandable segments it would have been served.
    Served,
    /// With expandable segments it, or one before it, would have been refused.
    Refused,
    /// It cannot be told.
    Unknown,
}

/// A replay and its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replay {
    pub(super) answer: Cure,
    /// Bytes that were in use before the trace begins.
    pub(super) assumed: u64,
    /// Why, a line each.
    pub(super) reasons: Vec<String>,
}

/// The request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    /// Its place in the trace.
    pub(super) at: usize,
    /// Bytes of the block that was wanted.
    pub(super) size: u64,
    /// Bytes that the device had free.
    pub(super) free: u64,
    /// Bytes that the process held of it then, as far as the trace tells.
    pub(super) reserved: u64,
    stream: u64,
}

impl Failure {
    /// What the message says: the segment that was asked of the driver.
    pub(super) fn tried(&self) -> u64 {
        Settings::segment_size(self.size.min(LARGEST))
    }
}

/// Devices and requests beyond this are not played.
pub(super) const LARGEST: u64 = 1 << 46;
/// Steps after which a replay is given up.
const MOST_WORK: u64 = 300_000_000;
const MOST_STREAMS: usize = 1024;

/// The last request of the trace that failed and that `like` accepts.
pub(super) fn failure(snapshot: &Snapshot, device: u64, like: impl Fn(&Failure) -> bool) -> Option<Failure> {
    let trace = snapshot.traces.get(usize::try_from(device).ok()?)?;
    let segments = snapshot.segments.iter().filter(|segment| segment.device == device);
    let mut reserved = segments.fold(0i128, |sum, segment| sum + i128::from(segment.total));
    for (at, entry) in trace.iter().enumerate().rev() {
        match entry.action {
            // Backwards: what was taken is not there yet.
            Action::SegmentAlloc | Action::SegmentMap => reserved -= i128::from(entry.size),
            Action::SegmentFree | Action::SegmentUnmap => reserved += i128::from(entry.size),
            Action::Oom => {
                let reserved = u64::try_from(reserved).ok()?;
                let found =
                    Failure { at, size: entry.size, free: entry.address, reserved, stream: entry.stream };
                if like(&found) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

/// Plays the trace of a device up to a failure. `limit`: bytes that a memory fraction allows the process.
pub(super) fn replay(snapshot: &Snapshot, device: u64, failure: &Failure, limit: Option<u64>) -> Replay {
    let mut out = Replay { answer: Cure::Unknown, assumed: 0, reasons: Vec::new() };
    if let Err(why) = play(snapshot, device, failure, limit, &mut out) {
        out.reasons.push(why);
    }
    out
}

fn play(
    snapshot: &Snapshot,
    device: u64,
    failure: &Failure,
    limit: Option<u64>,
    out: &mut Replay,
) -> Result<(), String> {
    if snapshot.segments.iter().any(|segment| segment.device == device && segment.private) {
        return Err("memory of CUDA graphs or of a MemPool is in use, which the model leaves out".to_owned());
    }
    let budget = failure.reserved.checked_add(failure.free).filter(|budget| *budget <= LARGEST);
    let budget = budget.filter(|_| failure.size <= LARGEST).ok_or("its sizes are impossible")?;
    let trace = usize::try_from(device).ok().and_then(|device| snapshot.traces.get(device));
    let trace = trace.ok_or("it holds no trace of this device")?;
    let start = Start::of(snapshot, device, trace)?;
    out.assumed = start.bytes();
    let collect_above = snapshot.settings.as_ref().and_then(|in_force| in_force.collect_above);
    let cap = limit.map(|allowed| Cap { allowed, collect_above });
    let script = Script { start, trace: &trace[..failure.at], failure: *failure, budget, cap };
    let in_force = snapshot.settings.as_ref().map(|in_force| in_force.settings).unwrap_or_default();
    match script.run(Layout::AsItWas, in_force)? {
        Ending::RefusedAt(at) if at == failure.at => {}
        Ending::RefusedAt(at) => {
            return Err(format!(
                "the model fails at entry {at} already, not at {}: it does not know what happened here",
                failure.at
            ));
        }
        Ending::Served => {
            return Err("the model serves the request as things were: something else refused it".to_owned());
        }
    }
    out.reasons.push(format!(
        "replayed as it was, {} entries, the model fails at the same request",
        script.trace.len()
    ));
    if in_force.expandable {
        out.answer = Cure::Refused;
        out.reasons.push("expandable segments were on".to_owned());
        return Ok(());
    }
    let changed = Settings { expandable: true, max_split: None, ..in_force };
    let best = script.run(Layout::SideBySide, changed)?;
    if out.assumed == 0 || best != Ending::Served {
        out.answer = if best == Ending::Served { Cure::Served } else { Cure::Refused };
        out.reasons.push(format!("replayed with expandable segments, {}", script.words(best)));
        return Ok(());
    }
    let before = exact(out.assumed);
    let worst = script.run(Layout::WithHoles, changed)?;
    if worst == best {
        out.answer = Cure::Served;
        out.reasons.push(format!(
            "replayed with expandable segments, it is served, however the {before} lie that were in use before the trace begins"
        ));
    } else {
        out.reasons.push(format!(
            "replayed with expandable segments, it is served only if the {before} that were in use before the trace begins lie well"
        ));
    }
    Ok(())
}

/// How a replay ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Served,
    /// At this entry of the trace.
    RefusedAt(usize),
}

struct Script<'a> {
    start: Start,
    trace: &'a [Entry],
    failure: Failure,
    budget: u64,
    cap: Option<Cap>,
}

impl Script<'_> {
    fn words(&self, ending: Ending) -> &'static str {
        match ending {
            Ending::Served => "it is served",
            Ending::RefusedAt(at) if at == self.failure.at => "it is refused, too",
            Ending::RefusedAt(_) => "an earlier request is refused",
        }
    }

    fn run(&self, layout: Layout, settings: Settings) -> Result<Ending, String> {
        // Streams are pointers; the model wants few.
        let mut streams: HashMap<u64, u64> = HashMap::new();
        let mut stream = |name: u64| -> Result<u64, String> {
            let next = streams.len() as u64;
            let stream = *streams.entry(name).or_insert(next);
            if streams.len() > MOST_STREAMS { Err("it has too many streams".to_owned()) } else { Ok(stream) }
        };
        let (mut allocator, mut live) = self.start.lay_out(layout, settings, self.budget, &mut stream)?;
        if let Some(cap) = self.cap {
            allocator.set_cap(cap);
        }
        for (at, entry) in self.trace.iter().enumerate() {
            match entry.action {
                Action::Alloc => {
                    if live.contains_key(&entry.address) {
                        return Err(format!("entry {at} allocates what is in use: the trace has gaps"));
                    }
                    match allocator.malloc(entry.size, stream(entry.stream)?) {
                        Ok(block) => drop(live.insert(entry.address, block)),
                        Err(_) => return Ok(Ending::RefusedAt(at)),
                    }
                }
                Action::FreeCompleted => {
                    let block = live.remove(&entry.address);
                    let block = block.ok_or_else(|| format!("entry {at} frees what is not in use"))?;
                    allocator.free(block);
                }
                _ => {}
            }
            if allocator.work() > MOST_WORK {
                return Err("it takes too long".to_owned());
            }
        }
        Ok(match allocator.malloc(self.failure.size, stream(self.failure.stream)?) {
            Ok(_) => Ending::Served,
            Err(_) => Ending::RefusedAt(self.failure.at),
        })
    }
}
