"""What PyTorch prints when the allocator gives up, release by release.

The words are those of DeviceCachingAllocator::malloc in c10/cuda/CUDACachingAllocator.cpp (and format_size there); the
double blanks and the typo of 2.1 are theirs.
"""

from dataclasses import dataclass

from allocator import GIB, KIB, MIB
from settings import release

# Lines of the NVML assertion by release: a failing NVML call replaces the whole message.
ASSERT_LINES = {(2, 1): 1154, (2, 2): 830, (2, 3): 830, (2, 4): 838, (2, 5): 995, (2, 8): 1131, (2, 9): 1123}
ASSERT_LINES |= {(2, 10): 1154, (2, 11): 1165, (2, 12): 1319, (2, 13): 1407}

STABLE_URL = "https://pytorch.org/docs/stable/notes/cuda.html#environment-variables"
DOCS_URL = "https://docs.pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-cuda-alloc-conf"


@dataclass
class Moment:
    """The numbers at the throw, after everything that could be released was."""

    tried: int
    gpu: int  # the process's own index, not the node's
    total: int
    free: int
    allocated: int
    reserved: int
    pid: int
    processes: list  # (pid, bytes) as NVML lists them; empty where it lists none


def format_size(size):
    if size <= KIB:
        return f"{size} bytes"
    if size <= MIB:
        return f"{size / KIB:.2f} KiB"
    if size <= GIB:
        return f"{size / MIB:.2f} MiB"
    return f"{size / GIB:.2f} GiB"


def out_of_memory(version, moment):
    head = f"CUDA out of memory. Tried to allocate {format_size(moment.tried)}"
    if release(version) <= (2, 0):
        return (
            f"{head} (GPU {moment.gpu}; {format_size(moment.total)} total capacity; "
            f"{format_size(moment.allocated)} already allocated; {format_size(moment.free)} free; "
            f"{format_size(moment.reserved)} reserved in total by PyTorch)" + hint(version)
        )
    capacity = "capacty" if release(version) == (2, 1) else "capacity"
    return (
        f"{head}. GPU {moment.gpu} has a total {capacity} of {format_size(moment.total)} "
        f"of which {format_size(moment.free)} is free. {processes(moment)}"
        f"Of the allocated memory {format_size(moment.allocated)} is allocated by PyTorch, and "
        f"{format_size(moment.reserved - moment.allocated)} is reserved by PyTorch but unallocated." + hint(version)
    )


def processes(moment):
    text = ""
    for pid, size in moment.processes:
        who = "Including non-PyTorch memory, this process" if pid == moment.pid else f"Process {pid}"
        text += f"{who} has {format_size(size)} memory in use. "
    return text


def hint(version):
    at = release(version)
    if at <= (2, 0):
        return (
            " If reserved memory is >> allocated memory try setting max_split_size_mb to avoid fragmentation."
            "  See documentation for Memory Management and PYTORCH_CUDA_ALLOC_CONF"
        )
    if at == (2, 1):
        return (
            " If reserved but unallocated memory is large try setting max_split_size_mb to avoid fragmentation."
            "  See documentation for Memory Management and PYTORCH_CUDA_ALLOC_CONF"
        )
    variable = "PYTORCH_ALLOC_CONF" if at == (2, 10) else "PYTORCH_CUDA_ALLOC_CONF"
    url = DOCS_URL if at >= (2, 11) else STABLE_URL
    return (
        f" If reserved but unallocated memory is large try setting {variable}=expandable_segments:True"
        f" to avoid fragmentation.  See documentation for Memory Management  ({url})"
    )


def masked(version):
    """The text in place of the message when NVML itself fails; None where the release survives that."""
    at = release(version)
    if not (2, 1) <= at <= (2, 13):
        return None
    root = "../c10" if at <= (2, 5) else "/pytorch/c10" if at <= (2, 12) else "/__w/pytorch/pytorch/c10"
    line = ASSERT_LINES.get(at, 1131)
    return (
        f'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "{root}/cuda/CUDACachingAllocator.cpp":{line}, '
        "please report a bug to PyTorch. "
    )


def error_class(version):
    """The exception's class under the name that the release prints it by."""
    at = release(version)
    if at <= (1, 12):
        return RuntimeError
    module = "torch" if at >= (2, 4) else "torch.cuda"
    return type("OutOfMemoryError", (RuntimeError,), {"__module__": module})


def rank_prefix(version, rank):
    """Since 2.2 an uncaught traceback of an initialised process group carries its rank on every line."""
    return f"[rank{rank}]: " if release(version) >= (2, 2) else ""
