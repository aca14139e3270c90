//! Which family a passage belongs to, and the families whose messages hold no sizes, or one.

use super::{OomMessage, Passage, caching, frameworks};
use crate::oom::kind::Kind;
use crate::text::{Pattern, pattern};

/// Reads the out-of-memory message that begins on the passage's first line, if there is one.
///
/// The order matters: a retry warning quotes "OOM", the host allocator also "tried to allocate", and the driver's bare
/// words occur inside the texts of the libraries above it.
pub(crate) fn read(passage: &Passage) -> Option<OomMessage> {
    benign(passage)
        .or_else(|| host(passage))
        .or_else(|| frameworks::read(passage))
        .or_else(|| caching::read(passage))
        .or_else(|| driver(passage))
}

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

/// Texts that read like a death and are none.
fn benign(passage: &Passage) -> Option<OomMessage> {
    let line = passage.line.as_str();
    if TRITON.is_match(line) {
        return Some(OomMessage::bare(Kind::TritonSharedMemory));
    }
    if PRESSURE.is_match(line) {
        return Some(OomMessage::bare(Kind::AllocatorRetryWarning));
    }
    CAUGHT.is_match(line).then(|| OomMessage::bare(Kind::CaughtRetry))
}

/// Slurm 20.11 to 26.05 (slurmd/…/task_cgroup_memory.c, srun/launch.c), the kernel, Ray, Kubernetes.
static KILLED: Pattern = Pattern::new(|| {
    pattern(concat!(
        r"Detected \d+ oom[-_]kill events?",
        r"|Detected \d+ oom[-_]kill event\(s\)",
        r"|srun: error: [\w.-]+: tasks? [\d,\[\]-]+: Out Of Memory",
        r"|Exceeded (?:job|step) memory limit",
        // jobacct_gather, up to 20.02 and where a site still enforces it.
        r"|(?i:job|step)(?:Id=)? ?\S+ exceeded (?:virtual )?memory limit",
        r"|Out of memory: Kill(?:ed)? process \d+",
        r"|emory cgroup out of memory: Kill(?:ed)? process \d+",
        r"|oom-kill:constraint=",
        r"|ray\.exceptions\.OutOfMemoryError|\bRayOutOfMemoryError:",
        r"|killed due to the node running low on memory",
        r"|\bOOMKilled\b",
        r"|node was low on resource: memory",
    ))
});
/// Python, C++ and the C library were refused host memory. RMM, CuPy and Paddle use the same words for the device's.
static REFUSED: Pattern = Pattern::new(|| {
    pattern(concat!(
        r"(?:^|[\s.:('])(?:_Array)?MemoryError(?:$|[:\s('])",
        r"|std::bad_alloc",
        r"|(?:^|[\s:\]])Cannot allocate memory(?: \(12\))?\s*$",
        r"|\[Errno 12\] Cannot allocate memory",
        r"|Unable to allocate \d[\d.]* [KMGTPE]i?B for an array",
        // PyTorch up to 0.4.
        r"|Torch: not enough memory: you tried to allocate",
    ))
});
/// What makes it another memory, or a limit of locked pages.
static NOT_HOST: Pattern = Pattern::new(|| pattern(r"(?i)cuda|\bgpu\b|hip|ibv_|memlock|RLIMIT|infiniband"));
static CPU: Pattern = Pattern::new(|| {
    pattern(
        r"DefaultCPUAllocator: (?:can't allocate|not enough) memory: you tried to allocate (\d{1,20}) bytes",
    )
});
static LOADER: Pattern = Pattern::new(|| {
    pattern(r"DataLoader worker \(pids? ?\(?s?\)? ?[\d, ]+\) is killed by signal: (Killed|Bus error)")
});
/// A process got SIGKILL: usually the kernel's doing for want of memory, but launchers and Slurm send it too.
static SIGKILL: Pattern = Pattern::new(|| {
    pattern(concat!(
        r"exitcode\s*: -9 \(pid",
        r"|Signal 9 \(SIGKILL\) received by PID",
        r"|srun: error: [\w.-]+: tasks? [\d,\[\]-]+: (?:Killed|Exited with exit code 137)",
        r"|died with <Signals\.SIGKILL: 9>",
        r"|returned non-zero exit status 137|exit(?:ed with)?(?: code| status):? 137\b",
        r"|terminated (?:with|by) signal (?:SIGKILL|9\b)",
        r"|is killed by SIGKILL by OOM killer",
        r"|failed \(exitcode: -9\)",
        r"|exits with return code = -9",
        // As a shell says it, alone or before the command.
        r"|^Killed$|^\S+: line \d+: +\d+ Killed\b(?:\s.{0,200})?$",
    ))
});

/// Host memory, which no GPU setting helps.
fn host(passage: &Passage) -> Option<OomMessage> {
    let line = passage.line.as_str();
    if let Some(found) = CPU.captures(line) {
        return Some(OomMessage { tried: found[1].parse().ok(), ..OomMessage::bare(Kind::HostOom) });
    }
    if let Some(found) = LOADER.captures(line) {
        let kind = if &found[1] == "Killed" { Kind::HostOom } else { Kind::HostShm };
        return Some(OomMessage::bare(kind));
    }
    if KILLED.is_match(line) {
        return Some(OomMessage::bare(Kind::HostOom));
    }
    if REFUSED.is_match(line) && !NOT_HOST.is_match(line) {
        return Some(OomMessage::bare(Kind::HostOom));
    }
    SIGKILL.is_match(line.trim()).then(|| OomMessage::bare(Kind::HostOom).suggests())
}

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
static CUPY: Pattern = Pattern::new(|| {
    pattern(r"cupy\S{0,40}OutOfMemoryError: Out of memory allocating (\d{1,3}(?:,\d{3}){0,6}|\d{1,20}) bytes")
});
static DRIVER: Pattern = Pattern::new(|| {
    pattern(concat!(
        r"(?:CUDA|HIP)(?: driver| runtime)? [Ee]rror(?: \(2\))?\s?:\s?out of memory",
        r"|error=2 : out of memory",
        r"|cuda runtime error \(2\)",
        r"|cudaErrorMemoryAllocation",
        r"|hipErrorOutOfMemory",
        r"|CUDA_ERROR_OUT_OF_MEMORY",
        r"|out_of_memory: CUDA error",
        r"|cudaMalloc(?: retry)? failed: out of memory",
        r"|cuMem\w+ failed.{0,40}out of memory",
        // TVM; spconv's TensorView; Caffe2; bitsandbytes, csrc/ops.cu; Paddle; the level-zero runtime beneath XPUs.
        r"|\bCUDA: out of memory",
        r"|cuda failed with error 2 out of memory",
        r"|error == cudaSuccess\. 2 vs 0",
        r"|Error out of memory at line \d+ in file",
        r"|Out of memory error on GPU \d+\. Cannot allocate",
        r"|RESULT_ERROR_OUT_OF_DEVICE_MEMORY",
        r"|CU(?:SOLVER|SPARSE|FFT|RAND)(?:_STATUS)?_ALLOC(?:ATION)?_FAILED",
    ))
});

/// The driver and the libraries that ask it directly. They print no sizes, or only the one they asked for.
fn driver(passage: &Passage) -> Option<OomMessage> {
    let line = passage.line.as_str();
    if NVML.is_match(line) {
        return Some(OomMessage::bare(Kind::NvmlAssert));
    }
    if line.contains("CUBLAS_STATUS_ALLOC_FAILED") || line.contains("HIPBLAS_STATUS_ALLOC_FAILED") {
        return Some(OomMessage::bare(Kind::Cublas));
    }
    if let Some(found) = CUPY.captures(line) {
        let tried = found[1].replace(',', "").parse().ok();
        return Some(OomMessage { tried, ..OomMessage::bare(Kind::CudaDriver) });
    }
    // Since cuDNN 9 by the second name.
    if line.contains("CUDNN_STATUS_ALLOC_FAILED") || line.contains("DEVICE_ALLOCATION_FAILED") {
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
