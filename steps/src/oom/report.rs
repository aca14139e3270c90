//! What `oom.read` yields.

use schemars::JsonSchema;
use serde::Serialize;

use super::event::Event;
use super::identities::{Identity, Numbers};
use super::kind::Kind;
use super::logs::LogFile;
use super::message::Process;
use super::placing::Placed;
use super::summary::MemorySummary;
use super::torch_version::TorchVersion;
use crate::size::show;
use crate::text::{clean, clean_to};

/// The first out-of-memory error of a job. Sizes in bytes; null: the message does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct OomError {
    /// Whose memory ran out; null: no out-of-memory text was found.
    pub(crate) kind: Option<Kind>,
    /// Ordinal of the device as the process counts, after `CUDA_VISIBLE_DEVICES`: no slot of the node.
    pub(crate) device: Option<u32>,
    /// Bytes that were refused: the segment asked of the driver, which is larger than the tensor (2 or 20 MiB at least).
    pub(crate) tried: Option<u64>,
    /// Bytes on the device.
    pub(crate) capacity: Option<u64>,
    /// Bytes free on the device, all processes counted.
    pub(crate) free: Option<u64>,
    /// Bytes allocated by PyTorch, idle private pools included.
    pub(crate) allocated: Option<u64>,
    /// Bytes reserved by PyTorch in total.
    pub(crate) reserved: Option<u64>,
    /// Bytes reserved by PyTorch and not allocated: the gap.
    pub(crate) reserved_unallocated: Option<u64>,
    /// Bytes idle in private pools (CUDA graphs); they are part of `allocated`.
    pub(crate) private_pools: Option<u64>,
    /// Bytes that this process uses, context and libraries included.
    pub(crate) this_process: Option<u64>,
    /// The processes that the message names; in a container the failing one may be among them under the host's id.
    pub(crate) processes: Vec<Process>,
    /// Bytes that a memory fraction allows the process.
    pub(crate) limit: Option<u64>,
    /// What must be true of these numbers, and whether it is: the relations of which the message tells all numbers.
    pub(crate) identities: Vec<Identity>,
    /// Global rank that failed first.
    pub(crate) rank: Option<u32>,
    /// Its rank on its node.
    pub(crate) local_rank: Option<u32>,
    /// The host that it ran on.
    pub(crate) node: Option<String>,
    /// Its process id.
    pub(crate) pid: Option<u32>,
    /// The last training step reported before, by that rank or else by any.
    pub(crate) step: Option<u64>,
    /// The PyTorch releases that can have printed it.
    pub(crate) torch: TorchVersion,
    /// True: the message says that expandable segments are on. Up to PyTorch 2.14 no message says it.
    pub(crate) hint_expandable: Option<bool>,
    /// The table of `memory_summary()` that the failing process printed near the error; null: none.
    pub(crate) memory_summary: Option<MemorySummary>,
    /// The log in which it stands.
    pub(crate) file: Option<String>,
    /// Its line there, from 1.
    pub(crate) line: Option<u64>,
    /// When, as the log tells it: ISO 8601, without an offset if the log names none.
    pub(crate) at: Option<String>,
    /// The message, at most 4 KiB.
    pub(crate) message: Option<String>,
    /// How many different out-of-memory errors the logs hold that something died of.
    pub(crate) ooms_seen: u64,
    /// The ranks that ran out of memory, the first first.
    pub(crate) first_of: Vec<u32>,
}

impl OomError {
    /// Everything an event says.
    pub(crate) fn of(event: &Event, placed: Placed, files: &[LogFile], line: Option<u64>) -> Self {
        let message = &event.message;
        Self {
            device: message.device,
            tried: message.tried,
            capacity: message.capacity,
            free: message.free,
            allocated: message.allocated,
            reserved: message.reserved,
            reserved_unallocated: message.reserved_unallocated,
            private_pools: message.private_pools,
            this_process: message.this_process,
            processes: message.processes.clone(),
            limit: message.limit,
            identities: Numbers::from(message).identities(),
            rank: placed.rank,
            local_rank: placed.local_rank,
            node: placed.node,
            pid: placed.pid,
            torch: event.torch.clone(),
            hint_expandable: message.hint_expandable,
            memory_summary: event.memory.clone(),
            step: event.step,
            ..Self::mention(event, files, line)
        }
    }

    /// Only that there is such a text, and where: for what nothing died of.
    pub(crate) fn mention(event: &Event, files: &[LogFile], line: Option<u64>) -> Self {
        Self {
            kind: Some(event.kind()),
            file: files.get(event.place.file).map(LogFile::name),
            line,
            at: event.time.map(|time| time.to_string()),
            message: Some(event.text.clone()),
            ..Self::default()
        }
    }

    /// Who and what, in a line.
    pub(crate) fn headline(&self) -> String {
        let rank = self.rank.map_or("an unknown rank".to_owned(), |rank| format!("rank {rank}"));
        let node = self.node.as_deref().map_or(String::new(), |node| format!(" on {}", clean_to(node, 64)));
        let what = self.kind.map_or("out of memory", Kind::words);
        let step = self.step.map_or(String::new(), |step| format!(", last step {step}"));
        format!("{rank}{node}: {what}{step}")
    }

    /// The sizes, in a line.
    pub(crate) fn sizes(&self) -> Option<String> {
        let tried = self.tried?;
        let part = |bytes: Option<u64>, words: &str| bytes.map(|bytes| format!("{} {words}", show(bytes)));
        let mut parts = vec![format!("tried {}", show(tried))];
        parts.extend(match (self.free, self.capacity) {
            (Some(free), Some(capacity)) => Some(format!("{} of {} free", show(free), show(capacity))),
            (free, capacity) => part(free, "free").or(part(capacity, "on the device")),
        });
        parts.extend(part(self.allocated, "allocated"));
        parts.extend(part(self.reserved_unallocated, "reserved but unallocated"));
        parts.extend(part(self.limit, "allowed"));
        Some(parts.join(", "))
    }

    /// Where it stands, in a line.
    pub(crate) fn place(&self) -> Option<String> {
        let file = self.file.as_deref()?;
        let at = self.at.as_deref().map_or(String::new(), |at| format!(", {at}"));
        let line = self.line.map_or(String::new(), |line| format!(":{line}"));
        Some(format!("{}{line}{at}", clean(file)))
    }
}
