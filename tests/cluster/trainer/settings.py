"""The allocator's settings as each PyTorch release reads them: which variable, which keys, which values.

After c10/cuda/CUDAAllocatorConfig.{h,cpp} and c10/core/AllocatorConfig.{h,cpp} of the releases. What is illegal there
is fatal here, with the same words.
"""

import re
from dataclasses import dataclass

# The first release that knows the key; to an older one it is an error like any other unknown word.
KEYS = {
    "max_split_size_mb": (1, 10),
    "garbage_collection_threshold": (1, 11),
    "roundup_power2_divisions": (1, 11),
    "backend": (2, 0),
    "expandable_segments": (2, 1),
    "release_lock_on_cudamalloc": (2, 2),
    "pinned_use_cuda_host_register": (2, 2),
    "pinned_num_register_threads": (2, 2),
    "max_non_split_rounding_mb": (2, 6),
    "pinned_use_background_threads": (2, 6),
    "graph_capture_record_stream_reuse": (2, 9),
    "per_process_memory_fraction": (2, 10),
    "pinned_reserve_segment_size_mb": (2, 10),
    "large_segment_size_mb": (2, 11),
    "throw_on_cudamalloc_oom": (2, 12),
    "pinned_free_catch_all": (2, 12),
    "pinned_max_round_threshold_mb": (2, 13),
    "pinned_max_cached_size_mb": (2, 13),
    "expandable_segments_reserve": (2, 15),
    "expandable_segments_reserve_by_class": (2, 15),
}
BOOLEANS = {
    "expandable_segments",
    "release_lock_on_cudamalloc",
    "pinned_use_cuda_host_register",
    "pinned_use_background_threads",
    "graph_capture_record_stream_reuse",
    "throw_on_cudamalloc_oom",
    "pinned_free_catch_all",
}


@dataclass
class Settings:
    expandable: bool = False
    max_split_mb: int | None = None
    roundup_divisions: int = 0
    non_split_rounding_mb: int = 20


def release(version):
    """(2, 8) of "2.8.0+cu128"."""
    major, minor = re.match(r"(\d+)\.(\d+)", version).groups()
    return int(major), int(minor)


def settings_text(version, environ):
    """The string that this release obeys, and the warning that it prints about it."""
    cuda = environ.get("PYTORCH_CUDA_ALLOC_CONF")
    if cuda is not None:
        if release(version) == (2, 9):
            return cuda, (
                "Warning: PYTORCH_CUDA_ALLOC_CONF is deprecated, use PYTORCH_ALLOC_CONF instead (function operator())"
            )
        return cuda, None
    # The two are never merged. The short name is not read at all before 2.10 (by the CUDA allocator of 2.9 neither).
    if release(version) >= (2, 10):
        return environ.get("PYTORCH_ALLOC_CONF", ""), None
    return "", None


class Parser:
    """Reads `key:value,key:value`; the last of two equal keys wins and a trailing comma is allowed."""

    def __init__(self, text, version):
        self.release = release(version)
        self.modern = self.release >= (2, 10)
        self.tokens = re.findall(r"[,:\[\]]|[^,:\[\]]+", re.sub(r"\s", "", text))
        self.at = 0
        self.settings = Settings()

    def fail(self, modern, older=None):
        raise (ValueError if self.modern else RuntimeError)(modern if self.modern or older is None else older)

    def token(self):
        if self.at >= len(self.tokens):
            # From 2.10 an index past the end is an internal assertion; the message names no key.
            self.fail(
                "i < config_.size() INTERNAL ASSERT FAILED: Index out of bounds in ConfigTokenizer",
                "Error parsing CachingAllocator settings, expected :",
            )
        self.at += 1
        return self.tokens[self.at - 1]

    def parse(self):
        while self.at < len(self.tokens):
            key = self.token()
            if KEYS.get(key, (99, 0)) > self.release:
                self.fail(
                    f"Unrecognized key '{key}' in CUDA allocator config.",
                    f"Unrecognized CachingAllocator option: {key}",
                )
            if self.token() != ":":
                self.fail("Error parsing CachingAllocator settings, expected :")
            self.value(key)
            if self.at < len(self.tokens) and self.token() != ",":
                self.fail("Error parsing CachingAllocator settings, expected ,")
        return self.settings

    def value(self, key):
        if key in BOOLEANS:
            flag = self.boolean(key)
            if key == "expandable_segments":
                self.settings.expandable = flag
        elif key == "max_split_size_mb":
            self.settings.max_split_mb = self.megabytes(key)
        elif key == "max_non_split_rounding_mb":
            self.settings.non_split_rounding_mb = self.megabytes(key)
        elif key == "garbage_collection_threshold":
            self.threshold()
        elif key == "roundup_power2_divisions":
            self.divisions()
        elif key == "backend":
            if self.token() not in ("native", "cudaMallocAsync"):
                self.fail("Unknown allocator backend, options are native and cudaMallocAsync")
        else:
            self.number(float)

    def boolean(self, key):
        index, word = self.at, self.token()
        if word not in ("True", "False"):
            self.fail(
                f"Expected 'True' or 'False' at index {index} in ConfigTokenizer but got '{word}'",
                f"Expected a single True/False argument for {key}",
            )
        return word == "True"

    def number(self, kind):
        try:
            return kind(self.token())
        except ValueError:
            self.fail("stoull", "stoi")

    def megabytes(self, key):
        value = self.number(int)
        # "> 20" until 2.9; 20 itself is legal from 2.10 on.
        if value < (20 if self.modern else 21):
            self.fail(
                f"CachingAllocator option {key} too small, must be >= 20",
                f"CachingAllocator option {key} too small, must be > 20",
            )
        return value

    def threshold(self):
        value = self.number(float)
        if not 0 < value < 1:
            small = value <= 0
            self.fail(
                "garbage_collect_threshold is invalid, set it in (0.0, 1.0)",
                f"garbage_collect_threshold too {'small' if small else 'big'}, set it 0.0~1.0",
            )

    def divisions(self):
        word = self.token()
        if word == "[":  # a list by size class is legal; the model does not round by it
            while self.token() != "]":
                pass
            return
        value = int(word) if word.isdigit() else self.fail("stoull", "stoi")
        if value < 1 or value & (value - 1):
            self.fail("For roundups, the divisions has to be power of 2 ")
        self.settings.roundup_divisions = value


def parse(text, version):
    return Parser(text, version).parse()
