"""The pretended GPUs of one node: what `inject` changes, the stand-in tools show and the trainer's allocator obeys.

A directory holds `state.json` (written by `inject`, always whole) and `procs/PID.json` (written by the ranks).
"""

import contextlib
import copy
import fcntl
import json
import os
import uuid
from pathlib import Path

NODE_DIR = Path("/run/standins")  # where a node sees its own directory

GPUS = 8
NAME = "NVIDIA H100 80GB HBM3"
DRIVER = "550.90.07"
CUDA = "12.4"
MEMORY_MIB = 81559  # memory.total
RESERVED_MIB = 454  # memory.reserved: what the driver keeps; the rest is what cudaMemGetInfo calls total
IDLE_MIB = 4
CONTEXT_MIB = 520  # a process's CUDA context, beyond what its allocator reserves

# The adapters of the InfiniBand that nodes pretend to have; their ports are files below class/infiniband.
ADAPTERS = ("mlx5_0", "mlx5_1")
PORT_ACTIVE, PORT_DOWN = "4: ACTIVE", "1: DOWN"

# The bus numbers of a DGX H100.
BUSES = (0x1B, 0x43, 0x52, 0x61, 0x9D, 0xC3, 0xD1, 0xDF)

HEALTHY = {
    "volatile": {"sram": 0, "dram": 0},
    "aggregate": {"sram": 0, "dram": 0},
    "remapped": {"correctable": 0, "uncorrectable": 0, "pending": False, "failure": False},
    "lost": False,  # fallen off the bus
    "unusable_mib": 0,  # memory that is gone without a process that has it
}


def fresh():
    return {
        "gpus": [copy.deepcopy(HEALTHY) for _ in range(GPUS)],
        "tenants": [],  # {"gpu", "pid", "mib", "name"}
        "kernel": [],  # {"time", "text"}
        "hang": False,
        "deny_dmesg": False,
        "manager": "active",  # the fabric manager, in systemctl's word
        "ports_down": [],  # adapters
    }


def gpu_uuid(node, gpu):
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{node}.{gpu}')}"


def serial(node, gpu):
    return str(1650000000000 + uuid.uuid5(uuid.NAMESPACE_DNS, f"{node}.{gpu}").int % 99999999999)[:13]


def bus_id(gpu):
    """As nvidia-smi prints it; the kernel's lines say 0000:9d:00."""
    return f"00000000:{BUSES[gpu]:02X}:00.0"


class Node:
    def __init__(self, directory=NODE_DIR):
        self.directory = Path(directory)
        self.procs = self.directory / "procs"
        self.file = self.directory / "state.json"

    def state(self):
        try:
            return json.loads(self.file.read_text())
        except FileNotFoundError:
            return fresh()

    @contextlib.contextmanager
    def edit(self):
        """Changes the state under a lock and puts it in place at once: readers never see half of it."""
        lock = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.state()
            yield state
            replace(self.file, state)
            self.show_ports(state)
        finally:
            os.close(lock)

    def show_ports(self, state):
        """Written in place: through the node's overlay a file that took another's name would not be seen."""
        for adapter in ADAPTERS:
            port = PORT_DOWN if adapter in state["ports_down"] else PORT_ACTIVE
            with (self.directory / f"class/infiniband/{adapter}/ports/1/state").open("r+") as file:
                file.truncate(file.write(f"{port}\n"))

    def processes(self):
        """Every process that holds GPU memory, by pid: the ranks that are alive here, and injected co-tenants."""
        found = list(self.state()["tenants"])
        for file in self.procs.glob("*.json"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                process = json.loads(file.read_text())
                if Path(f"/proc/{process['pid']}").exists():
                    found.append(process)
        return sorted(found, key=lambda p: p["pid"])

    def register(self, gpu, mib, name):
        """Says what the calling process holds on one GPU."""
        pid = os.getpid()
        replace(self.procs / f"{pid}.json", {"gpu": gpu, "pid": pid, "mib": mib, "name": name})

    def unregister(self):
        (self.procs / f"{os.getpid()}.json").unlink(missing_ok=True)

    def others_mib(self, gpu):
        """Memory on a GPU that the calling process cannot have."""
        mine = os.getpid()
        taken = sum(p["mib"] for p in self.processes() if p["gpu"] == gpu and p["pid"] != mine)
        return taken + self.state()["gpus"][gpu]["unusable_mib"]


class CachedOthers:
    """others_mib() for a caller in a hurry: reads again only when one of the two places has changed."""

    def __init__(self, node, gpu):
        self.node, self.gpu = node, gpu
        self.seen = self.mib = None

    def __call__(self):
        now = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (self.node.file, self.node.procs))
        if now != self.seen:
            self.seen, self.mib = now, self.node.others_mib(self.gpu)
        return self.mib


def replace(path, content):
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1))
    temporary.rename(path)
