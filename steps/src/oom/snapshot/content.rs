//! What is in a file of `torch.cuda.memory._dump_snapshot()` (torch/csrc/cuda/Module.cpp, v2.1–v2.15).

use super::value::{Document, Value};
use crate::allocator::Settings;
use crate::size::MIB;

/// A memory snapshot of one process.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Snapshot {
    /// All segments of all devices.
    pub(super) segments: Vec<Segment>,
    /// What was done on each device, the oldest first; empty unless the history was on.
    pub(super) traces: Vec<Vec<Entry>>,
    /// The allocator's settings; not in PyTorch 2.1.
    pub(super) settings: Option<InForce>,
}

/// A segment; of an expandable one, a run of mapped pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) device: u64,
    pub(super) address: u64,
    /// Bytes held of the driver.
    pub(super) total: u64,
    /// Of the small pool; else of the large one.
    pub(super) small: bool,
    /// It belongs to CUDA graphs or to a `MemPool`.
    pub(super) private: bool,
    pub(super) expandable: bool,
    pub(super) blocks: Vec<Block>,
}

/// A stretch of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) address: u64,
    pub(super) size: u64,
    /// Bytes that were asked for.
    pub(super) requested: u64,
    pub(super) state: State,
    pub(super) stream: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Allocated,
    /// Freed, while another stream still uses it.
    Pending,
    Free,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) action: Action,
    /// Where; of an out-of-memory entry, the bytes that the device had free.
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) stream: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Alloc,
    FreeRequested,
    FreeCompleted,
    SegmentAlloc,
    SegmentFree,
    SegmentMap,
    SegmentUnmap,
    Oom,
    Other,
}

/// The settings that were in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InForce {
    /// The text of `PYTORCH_CUDA_ALLOC_CONF` as it was read last.
    pub(super) conf: Option<String>,
    pub(super) expandable: Option<bool>,
    /// Bytes; `None`: unlimited or not said.
    pub(super) max_split: Option<u64>,
    /// `garbage_collection_threshold`, in thousandths; `None`: off.
    pub(super) collect_above: Option<u64>,
    pub(super) settings: Settings,
}

/// The keys that are read.
pub(super) const KEYS: &[&str] = &[
    "segments",
    "device_traces",
    "allocator_settings",
    "device",
    "address",
    "total_size",
    "stream",
    "segment_type",
    "segment_pool_id",
    "is_expandable",
    "blocks",
    "size",
    "requested_size",
    "state",
    "action",
    "addr",
    "device_free",
    "PYTORCH_CUDA_ALLOC_CONF",
    "max_split_size",
    "garbage_collection_threshold",
    "expandable_segments",
    "roundup_power2_divisions",
    "1",
    "2",
    "4",
    "8",
    "16",
    "32",
    "64",
    "128",
    "256",
    "512",
    "1024",
    "2048",
    "4096",
    "8192",
    "16384",
    "32768",
];

/// Reads a snapshot from what the pickle holds.
///
/// # Errors
/// It is something else.
pub(super) fn read(document: &Document) -> Result<Snapshot, String> {
    let root = document.root;
    let segments = document
        .get(root, "segments")
        .and_then(|segments| document.list(segments))
        .ok_or("a pickle, and no memory snapshot: it has no `segments`")?;
    let segments = segments
        .iter()
        .map(|segment| read_segment(document, *segment))
        .collect::<Option<Vec<_>>>()
        .ok_or("a segment lacks its size, its address or its blocks")?;
    let traces =
        document.get(root, "device_traces").and_then(|traces| document.list(traces)).unwrap_or_default();
    let traces = traces
        .iter()
        .map(|trace| document.list(*trace)?.iter().map(|entry| read_entry(document, *entry)).collect())
        .collect::<Option<Vec<_>>>()
        .ok_or("an entry of the trace lacks its action or its size")?;
    let settings = document.get(root, "allocator_settings").filter(|settings| document.is_dict(*settings));
    Ok(Snapshot { segments, traces, settings: settings.map(|settings| read_settings(document, settings)) })
}

fn read_segment(document: &Document, segment: Value) -> Option<Segment> {
    let number = |key| document.get(segment, key).and_then(|value| document.number(value));
    let pool = document.get(segment, "segment_pool_id").and_then(|pool| document.list(pool));
    let stream = number("stream").unwrap_or(0);
    let address = number("address")?;
    let total = number("total_size")?;
    let mut blocks = Vec::new();
    // Blocks have had no address of their own before 2.1.
    let mut at = address;
    for block in document.list(document.get(segment, "blocks")?)? {
        let number = |key| document.get(*block, key).and_then(|value| document.number(value));
        let size = number("size")?;
        let state = document.get(*block, "state").and_then(|state| document.text(state))?;
        let state = match state {
            "active_allocated" => State::Allocated,
            "active_pending_free" | "active_awaiting_free" => State::Pending,
            "inactive" => State::Free,
            _ => return None,
        };
        let address = number("address").unwrap_or(at);
        at = address.checked_add(size)?;
        blocks.push(Block {
            address,
            size,
            requested: number("requested_size").unwrap_or(size),
            state,
            stream,
        });
    }
    Some(Segment {
        device: number("device").unwrap_or(0),
        address,
        total,
        small: document.get(segment, "segment_type").and_then(|kind| document.text(kind)) == Some("small"),
        private: pool.is_some_and(|pool| pool.iter().any(|part| document.number(*part) != Some(0))),
        expandable: document
            .get(segment, "is_expandable")
            .and_then(|value| document.flag(value))
            .unwrap_or_default(),
        blocks,
    })
}

fn read_entry(document: &Document, entry: Value) -> Option<Entry> {
    let number = |key| document.get(entry, key).and_then(|value| document.number(value));
    let action = match document.get(entry, "action").and_then(|action| document.text(action))? {
        "alloc" => Action::Alloc,
        "free_requested" => Action::FreeRequested,
        "free_completed" => Action::FreeCompleted,
        "segment_alloc" => Action::SegmentAlloc,
        "segment_free" => Action::SegmentFree,
        "segment_map" => Action::SegmentMap,
        "segment_unmap" => Action::SegmentUnmap,
        "oom" => Action::Oom,
        _ => Action::Other,
    };
    let address = number(if action == Action::Oom { "device_free" } else { "addr" });
    Some(Entry {
        action,
        address: if action == Action::Other { address.unwrap_or(0) } else { address? },
        size: if action == Action::Other { number("size").unwrap_or(0) } else { number("size")? },
        stream: number("stream").unwrap_or(0),
    })
}

fn read_settings(document: &Document, settings: Value) -> InForce {
    let get = |key| document.get(settings, key);
    let expandable = get("expandable_segments").and_then(|value| document.flag(value));
    // -1 is unlimited.
    let max_split = get("max_split_size").and_then(|value| document.number(value));
    let mut model = Settings { expandable: expandable.unwrap_or_default(), max_split, ..Settings::default() };
    if let Some(roundup) = get("roundup_power2_divisions") {
        for (at, divisions) in model.roundup.iter_mut().enumerate() {
            let value = document.get(roundup, &(1u64 << at).to_string());
            *divisions = value.and_then(|value| document.number(value)).unwrap_or(0);
        }
    }
    let conf = get("PYTORCH_CUDA_ALLOC_CONF").and_then(|value| document.text(value));
    let conf = conf.map(|conf| crate::text::clean_to(conf, 300));
    if let Some(bytes) = conf.as_deref().and_then(|conf| megabytes(conf, "max_non_split_rounding_mb")) {
        model.non_split_rounding = bytes;
    }
    let collect = get("garbage_collection_threshold").and_then(|value| document.fraction(value));
    let collect_above =
        collect.filter(|share| *share > 0.0 && *share < 1.0).map(|share| (share * 1000.0).round() as u64);
    InForce { conf, expandable, max_split, collect_above, settings: model }
}

/// The value of a key of the settings' text, in bytes: of the last one, as the allocator takes it.
fn megabytes(conf: &str, key: &str) -> Option<u64> {
    let mut pairs = conf.split(',').filter_map(|pair| pair.split_once(':'));
    let (_, value) = pairs.rfind(|(name, _)| name.trim() == key)?;
    value.trim().parse::<u64>().ok()?.checked_mul(MIB)
}
