"""Unit tests of the stand-in trainer: the allocator's invariants on random traces, settings and messages by release."""

import itertools
import random
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent))

import frameworks
import messages
import settings
import summary
from allocator import GIB, KIB, MIB, CachingAllocator, Device, OutOfMemory
from checkpoint import HuggingFace, Megatron
from workload import WORKLOADS

CONFIGURATIONS = (
    {},
    {"max_split": 128 * MIB},
    {"roundup_divisions": 8},
    {"expandable": True},
    {"expandable": True, "max_split": 256 * MIB},
)


def trace(seed, length):
    """Random (size | None): a request, or the release of the live block that `pick` chooses."""
    generator = random.Random(seed)
    scales = ((1, 4 * KIB), (4 * KIB, MIB), (MIB, 10 * MIB), (10 * MIB, 200 * MIB), (200 * MIB, 3 * GIB))
    for _ in range(length):
        yield generator.randint(*generator.choice(scales)) if generator.random() < 0.53 else None, generator.random()


def chains(allocator, live):
    """Every segment as the list of its blocks, from whatever block one can lay hands on."""
    seen = {}
    pools = (allocator.small, allocator.large)
    loose = [block for pool in pools for block in pool.blocks() + pool.unmapped]
    for block in [*live, *loose]:
        first = block
        while first.prev is not None:
            first = first.prev
        chain = [first]
        while chain[-1].next is not None:
            chain.append(chain[-1].next)
        seen[id(first)] = chain
    return list(seen.values())


class AllocatorInvariants(unittest.TestCase):
    def check(self, allocator, live):
        mapped = 0
        held = set()
        for chain in chains(allocator, live):
            for block, following in itertools.pairwise(chain):
                self.assertEqual(block.address + block.size, following.address, "blocks of a segment are contiguous")
                self.assertIs(following.prev, block)
                mergeable = not block.allocated and not following.allocated and block.mapped == following.mapped
                self.assertFalse(mergeable, "two free neighbours were not merged")
            mapped += sum(block.size for block in chain if block.mapped)
            held |= {id(block) for block in chain if block.allocated}
        self.assertEqual(held, {id(block) for block in live})
        self.assertEqual(mapped, allocator.reserved)
        self.assertEqual(allocator.device.used, allocator.reserved)
        self.assertEqual(sum(block.size for block in live), allocator.allocated)
        for pool in (allocator.small, allocator.large):
            keys = [(block.size, block.address) for block in pool.blocks()]
            self.assertEqual(keys, sorted(keys))
            self.assertFalse(any(block.allocated for block in pool.blocks()))

    def test_random_traces(self):
        for options in CONFIGURATIONS:
            for seed, total in ((1, 80 * GIB), (2, 12 * GIB)):
                with self.subTest(options=options, seed=seed):
                    self.run_trace(options, seed, total)

    def run_trace(self, options, seed, total):
        allocator = CachingAllocator(Device(total), **options)
        live, refused = [], 0
        for turn, (size, pick) in enumerate(trace(seed, 2000)):
            if size is None:
                if live:
                    allocator.free(live.pop(int(pick * len(live))))
            else:
                try:
                    live.append(allocator.malloc(size))
                    self.assertGreaterEqual(live[-1].size, size)
                except OutOfMemory:
                    refused += 1
                    self.assert_was_right(allocator, size)
            if turn % 50 == 0:
                self.check(allocator, live)
        self.assertEqual(allocator.stats.ooms, refused)
        if total == 12 * GIB:
            self.assertGreater(refused, 0, "a trace that never runs out says little")
        for block in live:
            allocator.free(block)
        allocator.release_cached()
        self.check(allocator, [])
        self.assertEqual(allocator.reserved, 0)

    def assert_was_right(self, allocator, size):
        """After a refusal the device cannot give a segment, and everything that could be returned was."""
        rounded = allocator.round_size(size)
        if not allocator.expandable:
            self.assertLess(allocator.device.free(), allocator.segment_size(rounded))
            for pool in (allocator.small, allocator.large):
                self.assertTrue(all(block.is_split for block in pool.blocks()))

    def test_sizes(self):
        allocator = CachingAllocator(Device(80 * GIB))
        asked = {1: 2 * MIB, MIB: 2 * MIB, MIB + 1: 20 * MIB, 10 * MIB: 10 * MIB, 10 * MIB + 512 * KIB: 12 * MIB}
        for size, segment in asked.items():
            self.assertEqual(allocator.segment_size(allocator.round_size(size)), segment)


class Worlds(unittest.TestCase):
    """What the worlds promise, without a cluster: who runs out, where, and what helps."""

    def outcome(self, workload, rank=5, resumed=0, **overrides):
        allocator_options = {key: overrides.pop(key) for key in ("expandable", "max_split") if key in overrides}
        config = SimpleNamespace(
            micro_batch_size=2,
            seq_length=4096,
            sharding_degree=4,
            activation_checkpointing=False,
            hard_rank=5,
            hard_step=47,
        )
        vars(config).update(overrides)
        allocator = CachingAllocator(Device(81105 * MIB, lambda: 520 * MIB), **allocator_options)
        job = WORKLOADS[workload](allocator, config, rank)
        job.load_model()
        if resumed:
            job.resume(resumed)
        for step in range(resumed + 1, 121):
            try:
                job.step(step)
            except OutOfMemory:
                return step
        return None

    def test_fragmentation_is_cured_by_expandable_segments_alone(self):
        for resumed in (0, 40):
            with self.subTest(resumed=resumed):
                self.assertEqual(self.outcome("rollout", resumed=resumed), 47)
                self.assertIsNone(self.outcome("rollout", resumed=resumed, expandable=True))
                for lever in (
                    {"micro_batch_size": 1},
                    {"seq_length": 1024},
                    {"activation_checkpointing": True},
                    {"sharding_degree": 8},
                    {"max_split": 256 * MIB},
                ):
                    self.assertEqual(self.outcome("rollout", resumed=resumed, **lever), 47, lever)

    def test_true_oom_needs_two_rungs(self):
        start = {"micro_batch_size": 4, "seq_length": 8192, "resumed": 40}
        halved = start | {"micro_batch_size": 2}
        for short in (start, halved, halved | {"sharding_degree": 8}, halved | {"expandable": True}):
            self.assertEqual(self.outcome("pretrain", **short), 47, short)
        for enough in ({"micro_batch_size": 1}, {"seq_length": 4096}, {"activation_checkpointing": True}):
            self.assertIsNone(self.outcome("pretrain", **(halved | enough)), enough)

    def test_other_ranks_never_run_out(self):
        for workload in WORKLOADS:
            self.assertIsNone(self.outcome(workload, rank=0))
        self.assertIsNone(self.outcome("pretrain", rank=0, micro_batch_size=4, seq_length=8192))


class Settings(unittest.TestCase):
    def test_which_variable_counts(self):
        cuda, short = {"PYTORCH_CUDA_ALLOC_CONF": "a"}, {"PYTORCH_ALLOC_CONF": "b"}
        for version, environment, expected in (
            ("2.8.0", short, ""),
            ("2.8.0", cuda | short, "a"),
            ("2.9.1", short, ""),
            ("2.10.0", short, "b"),
            ("2.10.0", cuda | short, "a"),
            ("2.15.0+cu128", cuda, "a"),
        ):
            self.assertEqual(settings.settings_text(version, environment)[0], expected, (version, environment))
        self.assertIn("deprecated", settings.settings_text("2.9.1", cuda)[1])
        self.assertIsNone(settings.settings_text("2.10.0", cuda)[1])

    def test_legal(self):
        chosen = settings.parse("expandable_segments:True, max_split_size_mb:128,", "2.8.0")
        self.assertEqual((chosen.expandable, chosen.max_split_mb), (True, 128))
        self.assertEqual(settings.parse("max_split_size_mb:20", "2.10.0").max_split_mb, 20)
        self.assertFalse(settings.parse("expandable_segments:True,expandable_segments:False", "2.8.0").expandable)
        self.assertEqual(
            settings.parse("roundup_power2_divisions:[256:1,>:8],max_split_size_mb:64", "2.8.0").max_split_mb, 64
        )
        settings.parse("garbage_collection_threshold:0.8", "2.8.0")
        settings.parse("", "2.8.0")

    def test_illegal_is_fatal(self):
        for version, text, kind, words in (
            ("2.8.0", "max_split_size_mb:20", RuntimeError, "too small, must be > 20"),
            ("2.10.0", "max_split_size_mb:19", ValueError, "too small, must be >= 20"),
            ("2.8.0", "expandable_segments:true", RuntimeError, "Expected a single True/False argument"),
            ("2.10.0", "expandable_segments:true", ValueError, "at index 2 in ConfigTokenizer but got 'true'"),
            (
                "2.0.1",
                "expandable_segments:True",
                RuntimeError,
                "Unrecognized CachingAllocator option: expandable_segments",
            ),
            ("2.10.0", "foo:1", ValueError, "Unrecognized key 'foo' in CUDA allocator config."),
            ("2.8.0", "garbage_collection_threshold:1.0", RuntimeError, "too big, set it 0.0~1.0"),
            (
                "2.8.0",
                "max_split_size_mb=128",
                RuntimeError,
                "Unrecognized CachingAllocator option: max_split_size_mb=128",
            ),
            ("2.8.0", "max_split_size_mb", RuntimeError, "expected :"),
            ("2.8.0", "backend:mine", RuntimeError, "Unknown allocator backend"),
            ("2.8.0", "roundup_power2_divisions:3", RuntimeError, "has to be power of 2"),
        ):
            with self.assertRaises(kind, msg=text) as caught:
                settings.parse(text, version)
            self.assertIs(type(caught.exception), kind)
            self.assertIn(words, str(caught.exception))


class Messages(unittest.TestCase):
    MOMENT = messages.Moment(
        tried=20 * MIB,
        gpu=1,
        total=81105 * MIB,
        free=6 * GIB,
        allocated=30 * GIB,
        reserved=42 * GIB,
        pid=10,
        processes=[(7, 39000 * MIB), (10, 43 * GIB)],
    )

    def test_wording_by_release(self):
        old = messages.out_of_memory("2.0.1", self.MOMENT)
        self.assertIn("(GPU 1; 79.20 GiB total capacity; 30.00 GiB already allocated; 6.00 GiB free; 42.00 GiB", old)
        self.assertIn("total capacty of", messages.out_of_memory("2.1.2", self.MOMENT))
        self.assertEqual(
            messages.out_of_memory("2.8.0", self.MOMENT),
            "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 1 has a total capacity of 79.20 GiB of which 6.00 GiB"
            " is free. Process 7 has 38.09 GiB memory in use. Including non-PyTorch memory, this process has 43.00 GiB"
            " memory in use. Of the allocated memory 30.00 GiB is allocated by PyTorch, and 12.00 GiB is reserved by"
            " PyTorch but unallocated. If reserved but unallocated memory is large try setting"
            " PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for Memory"
            " Management  (https://pytorch.org/docs/stable/notes/cuda.html#environment-variables)",
        )
        self.assertIn("setting PYTORCH_ALLOC_CONF=", messages.out_of_memory("2.10.0", self.MOMENT))
        self.assertIn("https://docs.pytorch.org/", messages.out_of_memory("2.11.0", self.MOMENT))

    def test_format_size(self):
        for size, text in (
            (0, "0 bytes"),
            (KIB, "1024 bytes"),
            (MIB, "1024.00 KiB"),
            (GIB, "1024.00 MiB"),
            (GIB + 1, "1.00 GiB"),
            (3000 * GIB, "3000.00 GiB"),
        ):
            self.assertEqual(messages.format_size(size), text)

    def test_names(self):
        self.assertEqual(messages.error_class("2.3.1").__module__, "torch.cuda")
        self.assertEqual(messages.error_class("2.4.0").__module__, "torch")
        self.assertEqual(messages.rank_prefix("2.1.2", 3), "")
        self.assertEqual(messages.rank_prefix("2.2.0", 3), "[rank3]: ")
        self.assertIsNone(messages.masked("2.14.1"))
        self.assertIn('CUDACachingAllocator.cpp":1131', messages.masked("2.8.0"))

    def test_memory_summary(self):
        allocator = CachingAllocator(Device(80 * GIB))
        allocator.malloc(64188 * MIB)
        text = summary.memory_summary(allocator.stats, 3)
        self.assertEqual({len(row) for row in text.splitlines()}, {77})
        self.assertIn("|                  PyTorch CUDA memory summary, device ID 3                 |", text)
        self.assertIn("| Allocated memory      |  64188 MiB |  64188 MiB |  64188 MiB |      0 B   |", text)


class Checkpoints(unittest.TestCase):
    def test_an_unfinished_one_is_not_resumed_from(self):
        config = SimpleNamespace(max_steps=120, save_steps=20, micro_batch_size=2)
        for layout in (HuggingFace, Megatron):
            with self.subTest(layout=layout.__name__), tempfile.TemporaryDirectory() as folder:
                store = layout(Path(folder), config)
                self.assertEqual(store.newest(), (0, None))
                for step in (20, 100):
                    store.write_share(step, 0)
                    store.commit(step)
                store.write_share(120, 0)
                step, path = store.newest()
                self.assertEqual(step, 100)
                self.assertTrue(path.is_dir())


class Frameworks(unittest.TestCase):
    """Settings are taken, refused and silently changed as the frameworks do."""

    def file(self, name, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, name)
        path.write_text(text)
        return str(path)

    def test_hugging_face_and_deepspeed_must_agree(self):
        words = "--per-device-train-batch-size 2 --gradient_accumulation_steps 4 --output_dir o --gradient_checkpointing"
        read = frameworks.hugging_face(words.split(), 8)
        self.assertEqual((read.micro_batch_size, read.accumulation, read.sharding_degree), (2, 4, 1))
        self.assertTrue(read.activation_checkpointing)
        ds = self.file("ds.json", '{"train_micro_batch_size_per_gpu": 2, "zero_optimization": {"stage": 2}}')
        read = frameworks.hugging_face([*words.split(), "--deepspeed", ds], 8)
        self.assertEqual(read.sharding_degree, 4)
        ds = self.file("ds.json", '{"train_micro_batch_size_per_gpu": 4, "gradient_accumulation_steps": "auto"}')
        with self.assertRaisesRegex(ValueError, "- ds train_micro_batch_size_per_gpu=4 vs hf per_device_train_batch_size=2"):
            frameworks.hugging_face([*words.split(), "--deepspeed", ds], 8)

    def test_megatron_derives_the_accumulation(self):
        words = "--num-layers 32 --hidden-size 4096 --num-attention-heads 32 --seq-length 4096 --max-position-embeddings 4096"
        read = frameworks.megatron(f"{words} --micro-batch-size 2 --global-batch-size 64".split(), 8)
        self.assertEqual((read.micro_batch_size, read.accumulation), (2, 4))
        self.assertEqual(frameworks.megatron(f"{words} --micro-batch-size 2".split(), 8).accumulation, 1)
        with self.assertRaisesRegex(AssertionError, r"global batch size \(60\) is not divisible by micro batch size \(2\)"):
            frameworks.megatron(f"{words} --micro-batch-size 2 --global-batch-size 60".split(), 8)
        selective = f"{words} --micro-batch-size 2 --recompute-activations"
        self.assertFalse(frameworks.megatron(selective.split(), 8).activation_checkpointing)
        full = f"{words} --micro-batch-size 2 --recompute-granularity full"
        with self.assertRaisesRegex(AssertionError, "you need to use a recompute method"):
            frameworks.megatron(full.split(), 8)
        full += " --recompute-method uniform --recompute-num-layers 1"
        self.assertTrue(frameworks.megatron(full.split(), 8).activation_checkpointing)

    def test_torchtitan_shrinks_silently(self):
        toml = self.file(
            "llama.toml",
            '[job]\ndump_folder = "o"\n[training]\nlocal_batch_size = 2\nseq_len = 8192\nsteps = 9\n'
            '[checkpoint]\nfolder = "checkpoint"\ninterval = 20\n',
        )
        read = frameworks.torchtitan(["--job.config_file", toml], 8)
        self.assertEqual((read.micro_batch_size, read.accumulation, read.output), (2, 1, "o/checkpoint"))
        halved = ["--job.config_file", toml, "--training.local-batch-size", "1"]
        self.assertEqual(frameworks.torchtitan(halved, 8).accumulation, 1, "the global batch went with it")
        self.assertEqual(frameworks.torchtitan([*halved, "--training.global_batch_size", "16"], 8).accumulation, 2)


if __name__ == "__main__":
    unittest.main()
