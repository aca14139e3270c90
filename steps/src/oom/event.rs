//! One out-of-memory event: a message, and where, when and by whom it was printed.

use jiff::Timestamp;

use super::kind::{Kind, Nature};
use super::logtime::LogTime;
use super::message::{OomMessage, Proof};
use super::prefix::Who;
use super::summary::MemorySummary;
use super::torch_version::TorchVersion;

/// How a text stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stand {
    /// Printed as a warning, or with words of trying again.
    Warned,
    /// Raised, or printed by the one who died or killed.
    Raised,
}

/// A place in the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index of the file in the order in which the logs were given.
    pub(crate) file: usize,
    /// Offset of its line there.
    pub(crate) offset: u64,
}

/// One out-of-memory event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) message: OomMessage,
    /// The message as printed, cleaned and bounded.
    pub(crate) text: String,
    pub(crate) who: Who,
    /// Its line's time, or the last one that its printer gave before.
    pub(crate) time: Option<LogTime>,
    /// The log goes on to tell times, so an old `time` means an old event and not a log without times.
    pub(crate) dated: bool,
    pub(crate) place: Place,
    pub(crate) stand: Stand,
    pub(crate) torch: TorchVersion,
    /// The table of the allocator that its printer printed near it.
    pub(crate) memory: Option<MemorySummary>,
    /// The last training step before it.
    pub(crate) step: Option<u64>,
    /// Training went on after it.
    pub(crate) survived: bool,
}

impl Event {
    /// Whether something died of it, as far as the logs prove.
    pub(crate) fn is_fatal(&self) -> bool {
        !self.survived
            && self.stand == Stand::Raised
            && self.message.proof == Proof::Says
            && self.message.kind.nature() != Nature::Harmless
    }

    /// Whether it is surely older than `time`.
    pub(crate) fn is_before(&self, time: Timestamp) -> bool {
        self.dated && self.time.is_some_and(|own| own.surely_before(time))
    }

    /// What it counts as, after what followed it.
    pub(crate) fn kind(&self) -> Kind {
        let gpu = self.message.kind.nature() == Nature::Gpu;
        if self.survived && gpu { Kind::CaughtRetry } else { self.message.kind }
    }

    /// Whether both are prints of one event: the same numbers, by what can be the same process.
    ///
    /// A message comes several times: through logging, PyTorch's exception hook, `error.json`, torchrun's summary.
    fn is_same(&self, other: &Self) -> bool {
        self.message.kind == other.message.kind
            && self.message.proof == other.message.proof
            && self.message.tried == other.message.tried
            && self.message.capacity == other.message.capacity
            && self.message.free == other.message.free
            && self.message.allocated == other.message.allocated
            && self.message.reserved_unallocated == other.message.reserved_unallocated
            && self.message.processes == other.message.processes
            && agree(self.message.device, other.message.device)
            && self.who.is_compatible(&other.who)
            // Training that went on lies between two events, however alike.
            && (self.survived == other.survived)
            && (!self.survived || self.step == other.step)
    }
}

fn agree(a: Option<u32>, b: Option<u32>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// All events, each once.
#[derive(Debug, Default)]
pub(crate) struct Events {
    all: Vec<Event>,
    /// More were seen than are kept.
    pub(crate) overflowed: bool,
}

/// A log that prints more different ones is not read for its first.
const MOST: usize = 4096;

impl Events {
    /// Adds an event, or merges it with the one it repeats.
    pub(crate) fn add(&mut self, event: Event) {
        if let Some(known) = self.all.iter_mut().find(|known| known.is_same(&event)) {
            known.who.fill(&event.who);
            known.time = known.time.or(event.time);
            known.stand = known.stand.max(event.stand);
            known.step = known.step.or(event.step);
            known.memory = known.memory.take().or(event.memory);
            known.message.device = known.message.device.or(event.message.device);
            if event.torch.min.is_some() && known.torch.min.is_none() {
                known.torch = event.torch;
            }
        } else if self.all.len() < MOST {
            self.all.push(event);
        } else {
            self.overflowed = true;
        }
    }

    /// All of them, in the order in which they were found.
    pub(crate) fn all(&self) -> &[Event] {
        &self.all
    }

    /// Gives those that have no time the one that `time` finds.
    pub(crate) fn date(&mut self, time: impl Fn(&Event) -> Option<LogTime>) {
        for event in self.all.iter_mut().filter(|event| event.time.is_none()) {
            event.time = time(event);
        }
    }

    /// The fatal ones, the first first: by time where both have one, else by file and line.
    pub(crate) fn fatal(&self) -> Vec<&Event> {
        let mut rest: Vec<&Event> = self.all.iter().filter(|event| event.is_fatal()).collect();
        let mut ordered = Vec::with_capacity(rest.len());
        // Times and places need not form one order, so the first is picked, not sorted for.
        let first = rest.iter().copied().reduce(|a, b| if b.precedes(a) { b } else { a });
        if let Some(first) = first {
            rest.retain(|event| event.place != first.place || event.who != first.who);
            ordered.push(first);
        }
        ordered.extend(rest);
        ordered
    }
}

impl Event {
    fn precedes(&self, other: &Self) -> bool {
        let by_time = self.time.zip(other.time).and_then(|(a, b)| a.order(&b));
        by_time.unwrap_or(std::cmp::Ordering::Equal).then(self.place.cmp(&other.place)).is_lt()
    }

    /// Whether their order is known: times that differ, or one file.
    pub(crate) fn is_ordered_with(&self, other: &Self) -> bool {
        self.place.file == other.place.file
            || self.time.zip(other.time).and_then(|(a, b)| a.order(&b)).is_some_and(std::cmp::Ordering::is_ne)
    }
}
