//! The kinds of out-of-memory texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who ran out of which memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// PyTorch's caching allocator on CUDA.
    CudaCachingAllocator,
    /// PyTorch's caching allocator on ROCm.
    HipCachingAllocator,
    /// PyTorch's caching allocator on Intel XPU.
    XpuCachingAllocator,
    /// An XPU refused a single block of more than 4 GB; its memory is not exhausted.
    XpuBlockLimit,
    /// The caching allocator of Ascend NPUs.
    NpuCachingAllocator,
    /// The caching allocator of Moore Threads GPUs.
    MusaCachingAllocator,
    /// PyTorch's allocator on Apple's Metal.
    MpsAllocator,
    /// PyTorch's `backend:cudaMallocAsync`.
    CudaAsyncAllocator,
    /// The driver or a library that asks it directly; no sizes are printed.
    CudaDriver,
    /// cuBLAS found no memory for its workspace.
    Cublas,
    /// cuDNN found no memory for its workspace.
    Cudnn,
    /// NCCL found no memory for its buffers.
    Nccl,
    /// PyTorch 2.1–2.13 failed while composing the out-of-memory message; the sizes are lost.
    NvmlAssert,
    /// JAX / XLA.
    Jax,
    /// TensorFlow.
    Tensorflow,
    /// vLLM refused to start because too little was free.
    VllmStartupCheck,
    /// Host memory: the kernel, Slurm's cgroup, a data loader, Ray, Kubernetes.
    HostOom,
    /// Shared host memory, `/dev/shm`.
    HostShm,
    /// A Triton kernel asked for more on-chip memory than a block has; device memory is not involved.
    TritonSharedMemory,
    /// An out-of-memory error that the program caught; training went on.
    CaughtRetry,
    /// A warning of memory pressure; nothing failed.
    AllocatorRetryWarning,
}

/// What a kind of text says about the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Device memory was refused.
    Gpu,
    /// Host memory was refused.
    Host,
    /// Nothing died of it.
    Harmless,
}

impl Kind {
    /// What it says about the job.
    pub(crate) fn nature(self) -> Nature {
        match self {
            Self::HostOom | Self::HostShm => Nature::Host,
            Self::TritonSharedMemory | Self::CaughtRetry | Self::AllocatorRetryWarning => Nature::Harmless,
            _ => Nature::Gpu,
        }
    }

    /// Whether the fields mean what they mean in PyTorch's caching allocator.
    pub(crate) fn is_caching_allocator(self) -> bool {
        matches!(
            self,
            Self::CudaCachingAllocator
                | Self::HipCachingAllocator
                | Self::XpuCachingAllocator
                | Self::NpuCachingAllocator
                | Self::MusaCachingAllocator
        )
    }

    /// Short words for a summary line.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::CudaCachingAllocator => "CUDA out of memory",
            Self::HipCachingAllocator => "HIP out of memory",
            Self::XpuCachingAllocator => "XPU out of memory",
            Self::XpuBlockLimit => "XPU block larger than 4 GB refused",
            Self::NpuCachingAllocator => "NPU out of memory",
            Self::MusaCachingAllocator => "MUSA out of memory",
            Self::MpsAllocator => "MPS out of memory",
            Self::CudaAsyncAllocator => "CUDA out of memory (cudaMallocAsync)",
            Self::CudaDriver => "CUDA driver out of memory",
            Self::Cublas => "cuBLAS could not allocate",
            Self::Cudnn => "cuDNN could not allocate",
            Self::Nccl => "NCCL out of GPU memory",
            Self::NvmlAssert => "CUDA out of memory, message lost to an NVML error",
            Self::Jax => "JAX out of memory",
            Self::Tensorflow => "TensorFlow out of memory",
            Self::VllmStartupCheck => "vLLM found too little free memory",
            Self::HostOom => "host memory exhausted",
            Self::HostShm => "shared host memory exhausted",
            Self::TritonSharedMemory => "Triton kernel too large for shared memory",
            Self::CaughtRetry => "out of memory, caught by the program",
            Self::AllocatorRetryWarning => "memory pressure warning",
        }
    }
}
