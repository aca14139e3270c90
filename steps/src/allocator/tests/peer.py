"""Runs traces through the stand-in trainer's allocator and prints what it does, driver calls included.

Reads what `traces.rs` writes (`# TOTAL_MIB OTHERS_MIB SETTINGS`, then `a NAME BYTES`, `f NAME`, `e`, `s`) and prints the
lines that `told.rs` prints for the model.

    peer.py PATH_OF_THE_TRAINER < traces.txt
"""

import sys

sys.path.insert(0, sys.argv[1])
from allocator import MIB, CachingAllocator, Device, OutOfMemory  # noqa: E402


class Talking(Device):
    def malloc(self, size):
        address = super().malloc(size)
        print(f"  cudaMalloc {size} -> {'OOM' if address is None else hex(address)}")
        return address

    def release(self, address, size):
        super().release(address, size)
        print(f"  cudaFree {size}")

    def reserve_range(self, size):
        print(f"  cuMemAddressReserve {size}")
        return super().reserve_range(size)

    def create_page(self, size):
        done = super().create_page(size)
        print(f"  cuMemCreate {size}" + ("" if done else " -> OOM"))
        return done

    def release_page(self, size):
        super().release_page(size)
        print(f"  cuMemRelease {size}")


def allocator_for(total, others, conf=""):
    options = dict(pair.split(":") for pair in conf.split(",") if pair)
    max_split = options.get("max_split_size_mb")
    return CachingAllocator(
        Talking(int(total) * MIB, lambda: int(others) * MIB),
        expandable=options.get("expandable_segments") == "True",
        max_split=int(max_split) * MIB if max_split else None,
        roundup_divisions=int(options.get("roundup_power2_divisions", 0)),
    )


def stats(allocator):
    now = allocator.stats
    fields = {
        "alloc": allocator.allocated,
        "reserved": allocator.reserved,
        "active": allocator.allocated,
        "requested": now.requested.all[0],
        "inactive_split": now.inactive_split.all[0],
        "nsplit": now.inactive_splits.all[0],
        "segs": now.segments.all[0],
        "retries": now.retries,
        "ooms": now.ooms,
    }
    return "stats " + "".join(f"{name}={value} " for name, value in fields.items())


def main():
    allocator, live, traces = None, {}, 0
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "#":
            allocator, live = allocator_for(*words), {}
            print(f"# {traces}")
            traces += 1
        elif verb == "a":
            name, size = words
            try:
                live[name] = allocator.malloc(int(size))
                print(f"a {name} {size} ok {live[name].address:#x}")
            except OutOfMemory:
                print(f"OOM[{line.strip()}]")
        elif verb == "f":
            block = live.pop(words[0], None)
            if block:
                allocator.free(block)
            print(f"f {words[0]}" + ("" if block else " -"))
        elif verb == "e":
            allocator.release_cached()
            print("emptyCache")
        elif verb == "s":
            print(stats(allocator))


main()
