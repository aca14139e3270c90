//! The words by which a log is searched before anything in it is read.

use std::sync::LazyLock;

use engine::site::Words;

/// Words of which one is in the first line of every text that `message` reads.
const TRIGGERS: &[&str] = &[
    "ut of memory",
    "ut Of Memory",
    "OutOfMemory",
    "ried to allocate",
    "oom-kill",
    "oom_kill",
    "CUDA OOM",
    "GPU OOM",
    "from OOM",
    "with OOM",
    "OOM when",
    "OOMKilled",
    "ALLOC_FAILED",
    "ALLOCATION_FAILED",
    "INTERNAL ASSERT FAILED",
    "RESOURCE_EXHAUSTED",
    "out_of_memory",
    "OUT_OF_MEMORY",
    "OUT_OF_DEVICE_MEMORY",
    "cudaErrorMemoryAllocation",
    "cuda runtime error (2)",
    "exceed allowed memory",
    "memory_fraction limit",
    "is less than desired GPU memory",
    "llocate memory",
    "nable to allocate",
    "MemoryError",
    "bad_alloc",
    "is killed by signal",
    "Killed",
    "SIGKILL",
    "-9 (pid",
    "code: -9",
    "code = -9",
    "code 137",
    "status 137",
    "out of resource",
    "allocator cache flushes",
    "memory limit",
    "running low on memory",
    "low on resource",
    "Failed to CUDA",
    "Preemptively rejecting",
];

/// Words of lines that say which rank ran where and how it ended.
const HINTS: &[&str] = &["Root Cause (first", "srun: error:", "(local_rank: "];

/// Pieces of which one is in the text of every message, or close by: sixteen, for so many are found twice as fast as
/// thirty. Not covered are texts that harm nothing ("cache flushes", Triton's) and an eviction by Kubernetes, which
/// is in no log of the job itself.
const PIECES: &[&str] = &[
    "of memory",
    "MemoryError",
    "ied to alloc",
    " OOM",
    // Of ALLOC, of ALLOCATION, of INTERNAL ASSERT.
    "FAILED",
    // "Failed to CUDA calloc" of NCCL, "Failed to allocate request" of XLA.
    "ailed to ",
    "OUT_OF_",
    "bad_alloc",
    "ocate memory",
    "desired GPU mem",
    "d by signal",
    "Killed",
    "SIGKILL",
    // torchrun's summary and its "failed (exitcode: -9) local_rank: 3".
    "local_rank: ",
    // srun's and slurmstepd's.
    ": error: ",
    "code = -9",
];

static LINES: LazyLock<Words> = LazyLock::new(|| Words::new(TRIGGERS));
static HITS: LazyLock<Words> = LazyLock::new(|| Words::new([TRIGGERS, HINTS].concat()));
static SEARCHED: LazyLock<Words> = LazyLock::new(|| Words::new(PIECES));

/// Whether a line can be the beginning of a report: cheap; a report has one of the words, other lines may have, too.
pub(crate) fn suspects(line: &str) -> bool {
    trigger(line.as_bytes()).is_some()
}

/// Where the first trigger in a line begins.
pub(super) fn trigger(line: &[u8]) -> Option<usize> {
    LINES.find(line).map(|word| word.start)
}

/// The words at which a stretch of a log is looked at: triggers and hints.
pub(super) fn hits() -> &'static Words {
    &HITS
}

/// What to search large files for, where somebody else does it.
pub(super) fn pieces() -> &'static [&'static str] {
    PIECES
}

/// What to search large files for.
pub(super) fn searched() -> &'static Words {
    &SEARCHED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oom::fixtures::{cases, render};
    use crate::oom::kind::Nature;

    #[test]
    fn every_message_has_a_trigger_in_its_first_line() {
        for case in cases() {
            let text = render(&case);
            let first = text.lines().next().unwrap();
            assert!(suspects(first), "{text}");
            let searched = searched().find(text.as_bytes()).is_some();
            let left_out = case.kind.nature() == Nature::Harmless || case.format == "k8s_evicted";
            assert!(searched || left_out || first.contains("-9 (pid"), "{text}");
        }
    }

    #[test]
    fn numbers_alone_are_no_triggers() {
        for line in
            ["loss: -9.31", "reward = -9", "step 137", "[rank3]: step 41", "max memory allocated: 61 GiB"]
        {
            assert!(!suspects(line) && searched().find(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn few_enough_to_be_fast() {
        assert!(PIECES.len() <= 16);
    }
}
