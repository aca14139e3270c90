"""A model of PyTorch's native CUDA caching allocator: one device, one stream, no memory behind it.

It follows DeviceCachingAllocator in c10/cuda/CUDACachingAllocator.cpp (2.1 and later): two pools, best fit, splitting
and merging of blocks, return of wholly free segments when cudaMalloc fails, and expandable segments. Left out: streams,
CUDA graphs and private pools, garbage collection (without a memory fraction the real one does nothing either).
"""

import bisect
from dataclasses import dataclass, field

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

MIN_BLOCK = 512  # kMinBlockSize
SMALL_SIZE = 1 * MIB  # kSmallSize: the largest request of the small pool
SMALL_BUFFER = 2 * MIB  # kSmallBuffer: what the small pool asks the driver for
LARGE_BUFFER = 20 * MIB  # kLargeBuffer: the same for requests below MIN_LARGE
MIN_LARGE = 10 * MIB  # kMinLargeAlloc: from here on a request gets a segment of its own
ROUND_LARGE = 2 * MIB  # kRoundLarge


def round_up(size, unit):
    return (size + unit - 1) // unit * unit


class OutOfMemory(Exception):
    """The allocator gave up. `size` is what it asked the driver for: a segment, not the tensor."""

    def __init__(self, size):
        super().__init__(size)
        self.size = size


class Device:
    """The driver's side: addresses and capacity. `others` says how many bytes are not ours to take."""

    VA_GRANULE = 1 * GIB

    def __init__(self, total, others=lambda: 0):
        self.total = total
        self.used = 0
        self._others = others
        self._next_address = 0x7F0000000000
        self._next_range = 0x6F0000000000

    def free(self):
        return max(self.total - self._others() - self.used, 0)

    def malloc(self, size):  # cudaMalloc
        if size > self.free():
            return None
        self.used += size
        address = self._next_address
        # A hole between any two segments: they must never look adjacent.
        self._next_address += round_up(size, ROUND_LARGE) + ROUND_LARGE
        return address

    def release(self, _address, size):  # cudaFree
        self.used -= size

    def reserve_range(self, size):  # cuMemAddressReserve
        address = self._next_range
        self._next_range += round_up(size, self.VA_GRANULE)
        return address

    def create_page(self, size):  # cuMemCreate
        if size > self.free():
            return False
        self.used += size
        return True

    def release_page(self, size):  # cuMemRelease
        self.used -= size


class Block:
    """A stretch of a segment. Neighbours in the same segment are linked in the order of their addresses."""

    __slots__ = ("address", "size", "pool", "segment", "prev", "next", "allocated", "mapped", "requested")

    def __init__(self, address, size, pool, segment=None, mapped=True):
        self.address = address
        self.size = size
        self.pool = pool
        self.segment = segment  # the expandable segment, or None
        self.prev = self.next = None
        self.allocated = False
        self.mapped = mapped
        self.requested = 0

    @property
    def is_split(self):
        return self.prev is not None or self.next is not None

    def link_between(self, prev, following):
        self.prev, self.next = prev, following
        if prev is not None:
            prev.next = self
        if following is not None:
            following.prev = self

    def grown_size(self):
        """What an expandable block can become by mapping the pages behind it."""
        behind = self.next
        return self.size + (behind.size if behind is not None and not behind.mapped else 0)


class Pool:
    """The free blocks of one size class, ordered by (size, address), and its unmapped ranges, by address."""

    def __init__(self, name):
        self.name = name
        self.free = []
        self.unmapped = []

    @property
    def is_small(self):
        return self.name == "small"

    def insert(self, block):
        bisect.insort(self.free, (block.size, block.address, block))

    def index_of(self, size, address=-1):
        return bisect.bisect_left(self.free, (size, address))

    def remove(self, block):
        del self.free[self.index_of(block.size, block.address)]

    def insert_unmapped(self, block):
        bisect.insort(self.unmapped, block, key=lambda b: b.address)

    def blocks(self):
        return [entry[2] for entry in self.free]


class ExpandableSegment:
    """A reserved range of addresses whose pages are mapped and unmapped one by one."""

    def __init__(self, device, page):
        self.device = device
        self.page = page
        # One segment must be able to hold everything: the range is an eighth larger than the device.
        self.size = round_up(device.total + device.total // 8, page)
        self.address = device.reserve_range(self.size)

    def _pages(self, address, size, *, inner):
        begin, end = address - self.address, address - self.address + size
        if inner:
            return -(-begin // self.page), end // self.page
        return begin // self.page, -(-end // self.page)

    def map(self, address, size):
        """Maps every page that the range touches; all or nothing. Returns the mapped range."""
        first, last = self._pages(address, size, inner=False)
        for done in range(last - first):
            if not self.device.create_page(self.page):
                for _ in range(done):
                    self.device.release_page(self.page)
                return address, 0
        return self.address + first * self.page, (last - first) * self.page

    def unmap(self, address, size):
        """Unmaps the pages that lie wholly in the range. Returns the unmapped range."""
        first, last = self._pages(address, size, inner=True)
        if first >= last:
            return address, 0
        for _ in range(last - first):
            self.device.release_page(self.page)
        return self.address + first * self.page, (last - first) * self.page


class Stat:
    """current, peak, and the two running totals that memory_summary() prints, per pool and over both."""

    __slots__ = ("all", "large", "small")

    def __init__(self):
        self.all, self.large, self.small = ([0, 0, 0, 0] for _ in range(3))

    def add(self, pool, amount):
        for row in (self.all, self.small if pool.is_small else self.large):
            row[0] += amount
            if amount > 0:
                row[2] += amount
                if row[0] > row[1]:
                    row[1] = row[0]
            else:
                row[3] -= amount


@dataclass
class Stats:
    allocated: Stat = field(default_factory=Stat)  # bytes, as rounded
    requested: Stat = field(default_factory=Stat)  # bytes, as asked for
    reserved: Stat = field(default_factory=Stat)
    inactive_split: Stat = field(default_factory=Stat)  # free, but in a segment that is partly in use
    allocations: Stat = field(default_factory=Stat)
    segments: Stat = field(default_factory=Stat)
    inactive_splits: Stat = field(default_factory=Stat)
    retries: int = 0
    ooms: int = 0


class CachingAllocator:
    def __init__(
        self, device, *, expandable=False, max_split=None, roundup_divisions=0, non_split_rounding=LARGE_BUFFER
    ):
        self.device = device
        self.expandable = expandable
        self.max_split = max_split if max_split is not None else float("inf")
        self.roundup_divisions = roundup_divisions
        self.non_split_rounding = non_split_rounding
        self.small, self.large = Pool("small"), Pool("large")
        self.stats = Stats()

    # --- the numbers a training loop asks for ---

    @property
    def allocated(self):
        return self.stats.allocated.all[0]

    @property
    def reserved(self):
        return self.stats.reserved.all[0]

    @property
    def max_reserved(self):
        return self.stats.reserved.all[1]

    # --- malloc ---

    def malloc(self, requested):
        size = self.round_size(requested)
        pool = self.small if size <= SMALL_SIZE else self.large
        segment_size = self.segment_size(size)
        block = (
            self._take_free(pool, size)
            or self._new_block(pool, size, segment_size)
            or (self._release_oversize(pool, size) and self._new_block(pool, size, segment_size))
            or self._retry(pool, size, segment_size)
        )
        if block is None:
            self.stats.ooms += 1
            raise OutOfMemory(segment_size)
        block = self._split(block, size)
        block.allocated, block.requested = True, requested
        self.stats.allocated.add(pool, block.size)
        self.stats.requested.add(pool, requested)
        self.stats.allocations.add(pool, 1)
        return block

    def round_size(self, size):
        if size < MIN_BLOCK:
            return MIN_BLOCK
        if self.roundup_divisions > 1 and size > MIN_BLOCK * self.roundup_divisions:
            floor = 1 << (size.bit_length() - 1)
            return size if size == floor else round_up(size, floor // self.roundup_divisions)
        return round_up(size, MIN_BLOCK)

    @staticmethod
    def segment_size(size):
        if size <= SMALL_SIZE:
            return SMALL_BUFFER
        if size < MIN_LARGE:
            return LARGE_BUFFER
        return round_up(size, ROUND_LARGE)

    def _take_free(self, pool, size):
        """Best fit; there is no second try when the best candidate is refused."""
        free = pool.free
        at = pool.index_of(size)
        if at == len(free):
            return None
        block = free[at][2]
        if self.expandable:
            # Prefer the block that has the least room to grow.
            while block.segment and at + 1 < len(free) and free[at + 1][2].grown_size() < block.grown_size():
                at += 1
                block = free[at][2]
        if size < self.max_split <= block.size:
            return None
        if size >= self.max_split and block.size >= size + self.non_split_rounding:
            return None
        del free[at]
        return block

    def _new_block(self, pool, size, segment_size):
        if self.expandable:
            return self._expand(pool, size)
        address = self.device.malloc(segment_size)
        if address is None:
            return None
        self.stats.reserved.add(pool, segment_size)
        self.stats.segments.add(pool, 1)
        return Block(address, segment_size, pool)

    def _retry(self, pool, size, segment_size):
        self.release_cached()
        self.stats.retries += 1
        return self._new_block(pool, size, segment_size)

    def _split(self, block, size):
        pool, was_split = block.pool, block.is_split
        remainder = block.size - size
        if pool.is_small or self.expandable:
            splits = remainder >= MIN_BLOCK
        else:
            splits = size < self.max_split and remainder > SMALL_SIZE
        if splits:
            front = Block(block.address, size, pool, block.segment)
            front.link_between(block.prev, block)
            block.address += size
            block.size -= size
            pool.insert(block)
            if not block.segment:
                self.stats.inactive_split.add(pool, -size if was_split else block.size)
                if not was_split:
                    self.stats.inactive_splits.add(pool, 1)
            return front
        if was_split and not block.segment:
            self.stats.inactive_split.add(pool, -block.size)
            self.stats.inactive_splits.add(pool, -1)
        return block

    # --- free ---

    def free(self, block):
        pool = block.pool
        block.allocated = False
        self.stats.allocated.add(pool, -block.size)
        self.stats.requested.add(pool, -block.requested)
        self.stats.allocations.add(pool, -1)
        for neighbour in (block.prev, block.next):
            gained = self._merge(block, neighbour)
            if gained and not block.segment:
                self.stats.inactive_split.add(pool, -gained)
                self.stats.inactive_splits.add(pool, -1)
        pool.insert(block)
        if block.is_split and not block.segment:
            self.stats.inactive_split.add(pool, block.size)
            self.stats.inactive_splits.add(pool, 1)

    def _merge(self, block, neighbour):
        """Takes a free neighbour of the same mapped state into `block`; returns the bytes gained."""
        if neighbour is None or neighbour.allocated or neighbour.mapped != block.mapped:
            return 0
        if neighbour.mapped:
            block.pool.remove(neighbour)
        else:
            block.pool.unmapped.remove(neighbour)
        if neighbour is block.prev:
            block.address = neighbour.address
            block.link_between(neighbour.prev, block.next)
        else:
            block.link_between(block.prev, neighbour.next)
        block.size += neighbour.size
        return neighbour.size

    # --- giving memory back to the driver ---

    def release_cached(self):
        """Everything that can go: unsplit free segments, and whole free pages of expandable ones (empty_cache)."""
        for pool in (self.large, self.small):
            for block in pool.blocks():
                if not block.segment and not block.is_split:
                    self._release_segment(block)
            for block in pool.blocks():
                if block.segment:
                    self._unmap(block)

    def _release_segment(self, block):
        block.pool.remove(block)
        self.device.release(block.address, block.size)
        self.stats.reserved.add(block.pool, -block.size)
        self.stats.segments.add(block.pool, -1)

    def _release_oversize(self, pool, size):
        """With max_split_size_mb: returns one sufficient oversize block, or the largest until they suffice."""
        if self.max_split == float("inf"):
            return False
        wanted = max(size, self.max_split)
        at = pool.index_of(wanted)
        if at < len(pool.free) and not pool.free[at][2].segment:
            self._release_segment(pool.free[at][2])
            return True
        released = 0
        for block in reversed(pool.blocks()[:at]):
            if released >= wanted or block.size < self.max_split:
                break
            if not block.segment:
                released += block.size
                self._release_segment(block)
        return released >= wanted

    # --- expandable segments ---

    def _expand(self, pool, size):
        block = self._expandable_run(pool, size)
        if not block.mapped and not self._map(block, min(block.size, size)):
            return None
        while block.size < size:
            following = block.next
            if not self._map(following, min(size - block.size, following.size)):
                return None
            block = following  # mapping merged `block` into it
        pool.remove(block)
        return block

    def _expandable_run(self, pool, size):
        """The lowest run of free and unmapped blocks that can hold `size`; a new segment if there is none."""
        for block in pool.unmapped:
            start = block.prev if block.prev is not None and not block.prev.allocated else block
            room, at = 0, start
            while room < size and at is not None and not at.allocated:
                room += at.size
                at = at.next
            if room >= size:
                return start
        segment = ExpandableSegment(self.device, SMALL_BUFFER if pool.is_small else LARGE_BUFFER)
        block = Block(segment.address, segment.size, pool, segment, mapped=False)
        pool.insert_unmapped(block)
        return block

    def _map(self, block, size):
        pool = block.pool
        _, mapped = block.segment.map(block.address, size)
        if not mapped:
            return False
        pool.unmapped.remove(block)
        block.mapped = True
        if mapped < block.size:
            rest = Block(block.address + mapped, block.size - mapped, pool, block.segment, mapped=False)
            rest.link_between(block, block.next)
            pool.insert_unmapped(rest)
            block.size = mapped
        self._merge(block, block.prev)
        self._merge(block, block.next)
        pool.insert(block)
        self.stats.reserved.add(pool, mapped)
        return True

    def _unmap(self, block):
        pool = block.pool
        address, unmapped = block.segment.unmap(block.address, block.size)
        if not unmapped:
            return
        pool.remove(block)
        before = address - block.address
        after = block.size - before - unmapped
        if before:
            kept = Block(block.address, before, pool, block.segment)
            kept.link_between(block.prev, block)
            pool.insert(kept)
        if after:
            kept = Block(address + unmapped, after, pool, block.segment)
            kept.link_between(block, block.next)
            pool.insert(kept)
        block.address, block.size, block.mapped = address, unmapped, False
        self._merge(block, block.prev)
        self._merge(block, block.next)
        self.stats.reserved.add(pool, -unmapped)
        if block.is_split:
            pool.insert_unmapped(block)
        # else: nothing of the segment is mapped any more, and its range goes back
