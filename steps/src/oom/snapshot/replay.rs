//! Would the request that failed have been served with other settings? The trace of a snapshot, played again.
//!
//! It is played twice. First with the settings that were in force: only if the model refuses exactly what the real
//! allocator refused is it believed. Then with expandable segments. What was allocated before the trace begins is put
//! first, in the order of its addresses: where it lay matters little for what is never freed, such as weights, and the first
//! run tells whether it mattered.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::content::{Action, Entry, Snapshot, State};
use crate::allocator::{Allocator, BlockId, Device, Settings};

/// What the replay says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// With expandable segments the request is served.
    Served,
    /// With expandable segments it, or one before it, is refused, too.
    Refused,
    /// It cannot be told.
    Unknown,
}

/// A replay and its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replay {
    pub(super) answer: Answer,
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
const LARGEST: u64 = 1 << 46;
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

/// Plays the trace of a device up to a failure.
pub(super) fn replay(snapshot: &Snapshot, device: u64, failure: &Failure) -> Replay {
    let mut out = Replay { answer: Answer::Unknown, assumed: 0, reasons: Vec::new() };
    if let Err(why) = play(snapshot, device, failure, &mut out) {
        out.reasons.push(why);
    }
    out
}

fn play(snapshot: &Snapshot, device: u64, failure: &Failure, out: &mut Replay) -> Result<(), String> {
    if snapshot.segments.iter().any(|segment| segment.device == device && segment.private) {
        return Err("memory of CUDA graphs or of a MemPool is in use, which the model leaves out".to_owned());
    }
    let budget = failure.reserved.checked_add(failure.free).filter(|budget| *budget <= LARGEST);
    let budget = budget.filter(|_| failure.size <= LARGEST).ok_or("its sizes are impossible")?;
    let trace = usize::try_from(device).ok().and_then(|device| snapshot.traces.get(device));
    let trace = trace.ok_or("it holds no trace of this device")?;
    let before = before(snapshot, device, trace)?;
    let script = Script { before, trace: &trace[..failure.at], failure: *failure, budget };
    out.assumed = script.before.values().fold(0, |sum, held| sum.saturating_add(held.requested));
    let in_force = snapshot.settings.as_ref().map(|in_force| in_force.settings).unwrap_or_default();
    match script.run(in_force)? {
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
        out.answer = Answer::Refused;
        out.reasons.push("expandable segments were on".to_owned());
        return Ok(());
    }
    let changed = Settings { expandable: true, max_split: None, ..in_force };
    match script.run(changed)? {
        Ending::Served => {
            out.answer = Answer::Served;
            out.reasons.push("replayed with expandable segments, it is served".to_owned());
        }
        Ending::RefusedAt(at) => {
            out.answer = Answer::Refused;
            let which = if at == failure.at { "it is refused, too" } else { "an earlier request is refused" };
            out.reasons.push(format!("replayed with expandable segments, {which}"));
        }
    }
    Ok(())
}

/// A block that is in use when the trace begins.
#[derive(Debug, Clone, Copy)]
struct Held {
    requested: u64,
    stream: u64,
}

/// What is in use when the trace begins: what it frees without having allocated it, and what is still in use at its end
/// and was never allocated in it. By address.
fn before(snapshot: &Snapshot, device: u64, trace: &[Entry]) -> Result<BTreeMap<u64, Held>, String> {
    let mut before = BTreeMap::new();
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
                before.insert(entry.address, Held { requested: entry.size, stream: entry.stream });
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
            before.insert(block.address, Held { requested: block.requested, stream: block.stream });
        }
    }
    Ok(before)
}

enum Ending {
    Served,
    /// At this entry of the trace.
    RefusedAt(usize),
}

struct Script<'a> {
    before: BTreeMap<u64, Held>,
    trace: &'a [Entry],
    failure: Failure,
    budget: u64,
}

impl Script<'_> {
    fn run(&self, settings: Settings) -> Result<Ending, String> {
        let mut allocator = Allocator::new(Device::new(self.budget, 0), settings);
        let mut live: HashMap<u64, BlockId> = HashMap::new();
        // Streams are pointers; the model wants few.
        let mut streams: HashMap<u64, u64> = HashMap::new();
        let mut stream = |name: u64| -> Result<u64, String> {
            let next = streams.len() as u64;
            let stream = *streams.entry(name).or_insert(next);
            if streams.len() > MOST_STREAMS { Err("it has too many streams".to_owned()) } else { Ok(stream) }
        };
        for (address, held) in &self.before {
            match allocator.malloc(held.requested, stream(held.stream)?) {
                Ok(block) => drop(live.insert(*address, block)),
                Err(_) => {
                    return Err("what was in use before the trace begins does not fit the model".to_owned());
                }
            }
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
