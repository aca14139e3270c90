//! The driver and the libraries that ask it directly. They print no sizes, or only the one they asked for.

use super::{OomMessage, Passage};
use crate::oom::kind::Kind;
use crate::text::{Pattern, pattern};

// c10/cuda/CUDACachingAllocator.cpp and c10/cuda/driver_api.cpp, 2.1–2.13: NVML failed while the message was composed.
// The code is reached only after the allocator gave up (pytorch/pytorch#112377, #121899).
static NVML: Pattern = Pattern::new(|| {
    pattern(
        r"(?:NVML_SUCCESS\s*==\s*[\w:>()-]+|\bhandle_1)\s+INTERNAL ASSERT FAILED at .{0,200}(?:CUDACachingAllocator|driver_api)\.cpp",
    )
});
static NCCL: Pattern = Pattern::new(|| {
    pattern(
        r"(?:NCCL WARN|Last error:|ncclUnhandledCudaError).{0,300}Cuda failure (?:\d+ )?'out of memory'|Cuda failure (?:\d+ )?'out of memory'",
    )
});
static NCCL_CALLOC: Pattern =
    Pattern::new(|| pattern(r"Failed to CUDA (?:host )?(?:calloc|malloc) (?:async )?(\d{1,15}) bytes"));
static DRIVER: Pattern = Pattern::new(|| {
    pattern(concat!(
        r"(?:CUDA|HIP)(?: driver| runtime)? [Ee]rror(?: \(2\))?\s?: out of memory",
        r"|error=2 : out of memory",
        r"|cuda runtime error \(2\)",
        r"|cudaErrorMemoryAllocation",
        r"|hipErrorOutOfMemory",
        r"|CUDA_ERROR_OUT_OF_MEMORY",
        r"|out_of_memory: CUDA error",
        r"|cudaMalloc(?: retry)? failed: out of memory",
        r"|cuMem\w+ failed.{0,40}out of memory",
    ))
});

pub(super) fn read(passage: &Passage) -> Option<OomMessage> {
    let line = passage.line.as_str();
    if NVML.is_match(line) {
        return Some(OomMessage::bare(Kind::NvmlAssert));
    }
    if line.contains("CUBLAS_STATUS_ALLOC_FAILED") || line.contains("HIPBLAS_STATUS_ALLOC_FAILED") {
        return Some(OomMessage::bare(Kind::Cublas));
    }
    if line.contains("CUDNN_STATUS_ALLOC_FAILED") {
        return Some(OomMessage::bare(Kind::Cudnn));
    }
    if let Some(found) = NCCL_CALLOC.captures(line).filter(|_| line.contains("NCCL")) {
        return Some(OomMessage { tried: found[1].parse().ok(), ..OomMessage::bare(Kind::Nccl) });
    }
    if NCCL.is_match(line) {
        return Some(OomMessage::bare(Kind::Nccl));
    }
    DRIVER.is_match(line).then(|| OomMessage::bare(Kind::CudaDriver))
}
