//! The allocators of PyTorch, in all wordings since 1.0 (c10/cuda/CUDACachingAllocator.cpp, CUDAMallocAsyncAllocator.cpp,
//! aten/src/ATen/mps/MPSAllocator.mm, and the forks for XPU, NPU and MUSA).
//!
//! Clauses are searched one by one in the squeezed text, so a message that lost its head, middle or end still yields
//! the rest, and what is not there stays unknown.

use super::{OomMessage, Passage, Process};
use crate::oom::kind::Kind;
use crate::size::{SIZE, parse_size};
use crate::text::{Pattern, boundary, pattern};

macro_rules! clause {
    ($name:ident, $($part:expr),+) => {
        static $name: Pattern = Pattern::new(|| pattern(&[$($part),+].concat()));
    };
}

clause!(HEAD, "(?i)Triedtoallocate(?:(", SIZE, ")|morethan1EBmemory)");
clause!(REJECTED, "exceedper_process_memory_fractionlimit\\.Requestedsize:(", SIZE, ")");
clause!(ASYNC, "Allocationondevice(\\d*)wouldexceedallowedmemory\\.\\(outofmemory\\)");
clause!(ASYNC_LIVE, "Currentlyallocated:(", SIZE, ")");
clause!(ASYNC_TRIED, "Requested:(", SIZE, ")");
clause!(ASYNC_LIMIT, "Devicelimit:(", SIZE, ")");
clause!(ASYNC_FREE, "Free\\(accordingtoCUDA\\):(", SIZE, ")");
clause!(ASYNC_CAP, "PyTorchlimit\\(setbyuser-suppliedmemoryfraction\\):(", SIZE, ")");
clause!(MPS, "MPSallocated:(", SIZE, ")(?:,otherallocations:", SIZE, ")?(?:,maxallowed:(", SIZE, "))?");

// 2.1 and later; 2.1 prints "capacty", and 2.2–2.3 print the ordinal as a raw character that cleaning removed.
clause!(TOTAL, "GPU(\\d*)\\D?hasatotalcapaci?tyof(", SIZE, ")(?:ofwhich(", SIZE, ")isfree)?");
clause!(PROCESS, "(?:Process(\\d{1,10})|thisprocess)has(", SIZE, ")memoryinuse");
clause!(ALLOWED, "(", SIZE, ")allowed;");
clause!(ALLOCATED, "(", SIZE, ")isallocatedbyPyTorch");
clause!(POOLS, "with(", SIZE, ")allocatedinprivatepools");
clause!(UNALLOCATED, "(", SIZE, ")isreservedbyPyTorchbutunallocated");

// Up to 2.0, and the forks that kept the wording.
clause!(OLD_DEVICE, "\\((?:GPU|NPU|XPU)(\\d{0,4})[;:]");
clause!(OLD_TOTAL, "(", SIZE, ")totalcapacity[;)]");
clause!(OLD_ALLOCATED, "(", SIZE, ")alreadyallocated[;)]");
clause!(OLD_FREE, "(", SIZE, ")free[;)]");
clause!(OLD_RESERVED, "(", SIZE, ")reservedintotal");
clause!(OLD_CACHED, "(", SIZE, ")cached[;)]");

/// Squeezed bytes by which a head may begin after the first line, where that line ends in the middle of it.
const SPILL: usize = 24;

pub(super) fn read(passage: &Passage) -> Option<OomMessage> {
    let text = passage.squeezed.as_str();
    if let Some(found) =
        ASYNC.captures(text).filter(|found| found.get(0).is_some_and(|m| m.start() <= passage.first))
    {
        return Some(asynchronous(text, found.get(1).and_then(|m| m.as_str().parse().ok())));
    }
    if let Some(tried) = size(&REJECTED, text) {
        return Some(OomMessage { tried: Some(tried), ..OomMessage::bare(Kind::CudaCachingAllocator) });
    }
    let near = passage.first.saturating_add(SPILL);
    let Some(head) = HEAD.captures(text).filter(|head| head.get(0).is_some_and(|m| m.start() <= near)) else {
        return wordless(passage);
    };
    let whole = head.get(0)?;
    // A second message may follow in the same passage; its numbers are its own.
    let rest = &text[whole.start()..];
    let end = HEAD.find_at(rest, whole.len()).map_or(rest.len(), |next| next.start());
    let (before, rest) = (&text[..whole.start()], &rest[..end]);
    let kind = brand(before, rest)?;
    let mut message = OomMessage::bare(kind);
    message.tried = head.get(1).and_then(|m| parse_size(m.as_str()));
    if kind == Kind::MpsAllocator {
        let found = MPS.captures(before)?;
        message.allocated = found.get(1).and_then(|m| parse_size(m.as_str()));
        message.limit = found.get(2).and_then(|m| parse_size(m.as_str()));
    } else if OLD_TOTAL.is_match(rest) || OLD_DEVICE.is_match(rest) {
        old(rest, &mut message);
    } else {
        sentence(rest, &mut message);
    }
    Some(message)
}

/// Whose allocator it is, or `None` if the words around "tried to allocate" are not an out-of-memory error's.
fn brand(before: &str, rest: &str) -> Option<Kind> {
    let near = &before[boundary(before, before.len().saturating_sub(400))..];
    let says = |words: &str| near.contains(words);
    Some(if says("memoryblockwithsizelargerthan4GB") {
        Kind::XpuBlockLimit
    } else if says("MPSbackendoutofmemory") {
        Kind::MpsAllocator
    } else if says("XPUoutofmemory") {
        Kind::XpuCachingAllocator
    } else if says("HIPoutofmemory") {
        Kind::HipCachingAllocator
    } else if says("NPUoutofmemory") || rest.contains("(NPU") {
        Kind::NpuCachingAllocator
    } else if says("MUSAoutofmemory") {
        Kind::MusaCachingAllocator
    } else if near.to_ascii_lowercase().contains("outofmemory")
        || OLD_TOTAL.is_match(rest)
        || TOTAL.is_match(rest)
    {
        Kind::CudaCachingAllocator
    } else {
        return None;
    })
}

fn sentence(text: &str, message: &mut OomMessage) {
    if let Some(found) = TOTAL.captures(text) {
        message.device = found[1].parse().ok();
        message.capacity = parse_size(&found[2]);
        message.free = found.get(3).and_then(|m| parse_size(m.as_str()));
    }
    for found in PROCESS.captures_iter(text).take(256) {
        // NVML prints 0 where it may not look, and a process that uses a GPU never has 0 bytes there.
        let bytes = parse_size(&found[2]).filter(|bytes| *bytes > 0);
        match found.get(1).map(|pid| pid.as_str().parse()) {
            None => message.this_process = bytes,
            Some(Ok(pid)) => message.processes.push(Process { pid, bytes }),
            Some(Err(_)) => {}
        }
    }
    message.limit = size(&ALLOWED, text);
    message.allocated = size(&ALLOCATED, text);
    message.private_pools = size(&POOLS, text);
    message.reserved_unallocated = size(&UNALLOCATED, text);
    message.reserved = sum(message.allocated, message.reserved_unallocated);
    // Up to 2.14 the hint recommends expandable segments even where they are on: it proves nothing.
    message.hint_expandable = ["expandable_segmentsisenabled", "exceedstheexpandable-segmentreserve"]
        .iter()
        .any(|words| text.contains(words))
        .then_some(true);
}

fn old(text: &str, message: &mut OomMessage) {
    message.device = OLD_DEVICE.captures(text).and_then(|found| found[1].parse().ok());
    message.capacity = size(&OLD_TOTAL, text);
    message.allocated = size(&OLD_ALLOCATED, text);
    message.free = size(&OLD_FREE, text);
    message.limit = size(&ALLOWED, text);
    // "cached" (up to 1.3) is the gap, "reserved in total" (from 1.4) the total (pytorch/pytorch#13751).
    if let Some(cached) = size(&OLD_CACHED, text) {
        message.reserved_unallocated = Some(cached);
        message.reserved = sum(message.allocated, Some(cached));
    } else {
        message.reserved = size(&OLD_RESERVED, text);
        message.reserved_unallocated =
            message.reserved.zip(message.allocated).and_then(|(r, a)| r.checked_sub(a));
    }
}

fn asynchronous(text: &str, device: Option<u32>) -> OomMessage {
    OomMessage {
        device,
        tried: size(&ASYNC_TRIED, text),
        capacity: size(&ASYNC_LIMIT, text),
        free: size(&ASYNC_FREE, text),
        allocated: size(&ASYNC_LIVE, text),
        limit: size(&ASYNC_CAP, text),
        ..OomMessage::bare(Kind::CudaAsyncAllocator)
    }
}

/// `RuntimeError: CUDA out of memory.` with the rest cut off. The sentence ends there, but for vLLM's: where it goes on,
/// somebody speaks of the error.
fn wordless(passage: &Passage) -> Option<OomMessage> {
    static CLASS: Pattern = Pattern::new(|| {
        pattern(
            r"(?:RuntimeError|OutOfMemoryError|Exception)['(\x22:\s]{1,4}(CUDA|HIP|XPU|NPU|MUSA) out of memory(?:[.)'\x22;!\\]|\s*$|\s*…|\s+occurred\b)",
        )
    });
    // 2.2 and later print the ordinal as a raw character, often a NUL, with which the text ends.
    static DEVICE: Pattern = Pattern::new(|| pattern(r"OutOfMemoryError: Allocation on device\s*$"));
    if DEVICE.is_match(&passage.line) {
        return Some(OomMessage::bare(Kind::CudaAsyncAllocator));
    }
    let kind = match &CLASS.captures(&passage.line)?[1] {
        "HIP" => Kind::HipCachingAllocator,
        "XPU" => Kind::XpuCachingAllocator,
        "NPU" => Kind::NpuCachingAllocator,
        "MUSA" => Kind::MusaCachingAllocator,
        _ => Kind::CudaCachingAllocator,
    };
    Some(OomMessage::bare(kind))
}

fn size(pattern: &Pattern, text: &str) -> Option<u64> {
    parse_size(pattern.captures(text)?.get(1)?.as_str())
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a?.checked_add(b?)
}
