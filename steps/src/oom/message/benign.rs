//! Texts that read like a death and are none.

use super::{OomMessage, Passage};
use crate::oom::kind::Kind;
use crate::text::{Pattern, pattern};

/// Warnings of the allocator or of a framework while the step goes on.
static PRESSURE: Pattern = Pattern::new(|| {
    pattern(concat!(
        // 2.13 and later, also on attempts that succeed after a flush (pytorch/pytorch#193195).
        r"memory mapping failed with OOM on device",
        r"|memory allocation failed with OOM",
        r"|Preemptively rejecting allocation",
        // DeepSpeed, runtime/engine.py.
        r"|pytorch allocator cache flushes since last step",
        r"|caller indicates that this is not a failure",
    ))
});
/// Detectron2 (utils/memory.py), fairseq (trainer.py) and accelerate (utils/memory.py) catch and retry.
static CAUGHT: Pattern = Pattern::new(|| {
    pattern(concat!(
        r"Attempting to copy inputs .{0,200}due to (?:CUDA|GPU) OOM",
        r"|[Aa]ttempting to recover from OOM",
        r"|ran out of memory in \w+, (?:retrying|skipping) batch",
        r"|due to (?:CUDA|GPU) OOM, (?:retrying|skipping)",
    ))
});
static TRITON: Pattern = Pattern::new(|| pattern(r"out of resources?: shared memory"));

pub(super) fn read(passage: &Passage) -> Option<OomMessage> {
    let line = passage.line.as_str();
    if TRITON.is_match(line) {
        return Some(OomMessage::bare(Kind::TritonSharedMemory));
    }
    if PRESSURE.is_match(line) {
        return Some(OomMessage::bare(Kind::AllocatorRetryWarning));
    }
    CAUGHT.is_match(line).then(|| OomMessage::bare(Kind::CaughtRetry))
}
