"""The pretended kernel messages of a node, for the stand-ins of dmesg and journalctl."""

from pathlib import Path

import gpu_state


def boot_time():
    """When the machine came up, as the kernel says it: what the stamps of its messages count from."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    raise RuntimeError("/proc/stat has no btime")


def messages(state):
    """(time, text) of the driver's greeting and of everything that was injected, oldest first."""
    greeting = (
        boot_time() + 9.5,
        f"NVRM: loading NVIDIA UNIX x86_64 Kernel Module  {gpu_state.DRIVER}  Fri May 31 09:35:42 UTC 2024",
    )
    return sorted([greeting, *((entry["time"], entry["text"]) for entry in state["kernel"])])
