#!/usr/bin/env python3
"""Stand-in for a distributed PyTorch trainer: one process per Slurm task, no GPU, no PyTorch.

What it computes is nothing; what it allocates, logs, saves and waits for is modelled on the real thing. It runs under
`srun` on the test cluster and is set up through the environment, or as a framework is (frameworks.py; see
tests/cluster/README.md).
"""

import atexit
import json
import logging
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, "/run/standins/lib")  # the node's pretended GPUs

import gpu_state
import messages
import settings
from allocator import GIB, MIB, CachingAllocator, Device, OutOfMemory
from checkpoint import LAYOUTS
from collective import Collective, network, wait_for_ever
from summary import memory_summary
from workload import WORKLOADS

log = logging.getLogger("train")


def env_int(name, default):
    return int(os.environ.get(name, default))


@dataclass
class Config:
    micro_batch_size: int
    accumulation: int
    seq_length: int
    activation_checkpointing: bool
    sharding_degree: int
    max_steps: int
    save_steps: int
    hard_rank: int
    hard_step: int
    output: str
    layout: str
    resumes_batch_size: bool = False

    @classmethod
    def read(cls, framework, world):
        """From the words of the launch line, as a framework reads them; without one, from the environment."""
        if framework is None:
            return cls.from_environment(world)
        return cls(**vars(framework(sys.argv[1:], world)), **cls.fate(world))

    @staticmethod
    def fate(world):
        return {"hard_rank": env_int("FAKE_HARD_RANK", world - 1), "hard_step": env_int("FAKE_HARD_STEP", 47)}

    @classmethod
    def from_environment(cls, world):
        config = cls(
            micro_batch_size=env_int("MICRO_BATCH_SIZE", 1),
            accumulation=env_int("GRADIENT_ACCUMULATION_STEPS", 1),
            seq_length=env_int("SEQ_LENGTH", 2048),
            activation_checkpointing=os.environ.get("ACTIVATION_CHECKPOINTING", "0") == "1",
            sharding_degree=env_int("SHARDING_DEGREE", world),
            max_steps=env_int("MAX_STEPS", 120),
            save_steps=env_int("SAVE_STEPS", 20),
            output=os.environ.get("OUTPUT_DIR", "checkpoints"),
            layout=os.environ.get("CHECKPOINT_LAYOUT", "hf"),
            **cls.fate(world),
        )
        config.check(world)
        return config

    def describe(self):
        return (
            f"micro_batch_size={self.micro_batch_size} gradient_accumulation_steps={self.accumulation} "
            f"seq_length={self.seq_length} activation_checkpointing={self.activation_checkpointing} "
            f"sharding_degree={self.sharding_degree}"
        )

    def check(self, world):
        if world % self.sharding_degree:
            raise ValueError(f"world size ({world}) is not divisible by sharding degree ({self.sharding_degree})")
        wanted = env_int("GLOBAL_BATCH_SIZE", 0)
        if wanted and wanted != self.micro_batch_size * self.accumulation * world:
            # The words of DeepSpeed's runtime/config.py.
            raise AssertionError(
                "Check batch related parameters. train_batch_size is not equal to micro_batch_per_gpu * "
                f"gradient_acc_step * world_size {wanted} != {self.micro_batch_size} * {self.accumulation} * {world}"
            )


class Gpu:
    """This rank's GPU: the allocator on top of what the node's state says is left of it."""

    def __init__(self, version, local_rank):
        self.version = version
        self.node = gpu_state.Node()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")
        # What a message calls "GPU 1" is an index into the process's own list.
        self.index = local_rank if local_rank < len(visible) else 0
        owned = os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS") or "0"
        self.physical = int(owned.split(",")[self.index])
        others = gpu_state.CachedOthers(self.node, self.physical)
        self.device = Device(
            (gpu_state.MEMORY_MIB - gpu_state.RESERVED_MIB) * MIB,
            lambda: (others() + gpu_state.CONTEXT_MIB) * MIB,
        )
        text, warning = settings.settings_text(version, os.environ)
        if warning:
            stamp = time.strftime("%m%d %H:%M:%S")
            print(f"[W{stamp}.000000000 AllocatorConfig.cpp:28] {warning}", file=sys.stderr)
        chosen = settings.parse(text, version)
        self.allocator = CachingAllocator(
            self.device,
            expandable=chosen.expandable,
            max_split=chosen.max_split_mb and chosen.max_split_mb * MIB,
            roundup_divisions=chosen.roundup_divisions,
            non_split_rounding=chosen.non_split_rounding_mb * MIB,
        )
        atexit.register(self.node.unregister)

    def in_use_mib(self):
        return gpu_state.CONTEXT_MIB + self.allocator.reserved // MIB

    def show(self):
        """Lets the node's nvidia-smi see this process."""
        self.node.register(self.physical, self.in_use_mib(), "python3")

    def out_of_memory(self, tried):
        """The exception that PyTorch would raise now."""
        if os.environ.get("FAKE_NVML_ERROR") == "1" and (text := messages.masked(self.version)):
            return RuntimeError(text)
        self.show()
        seen = [(p["pid"], p["mib"] * MIB) for p in self.node.processes() if p["gpu"] == self.physical]
        moment = messages.Moment(
            tried=tried,
            gpu=self.index,
            total=self.device.total,
            free=self.device.free(),
            allocated=self.allocator.allocated,
            reserved=self.allocator.reserved,
            pid=os.getpid(),
            processes=seen,
        )
        return messages.error_class(self.version)(messages.out_of_memory(self.version, moment))


class Trainer:
    def __init__(self, framework):
        self.rank = env_int("SLURM_PROCID", 0)
        self.world = env_int("SLURM_NTASKS", 1)
        self.version = os.environ.get("FAKE_TORCH_VERSION", "2.8.0")
        self.config = Config.read(framework, self.world)
        self.collective = Collective(
            self.rank, self.world, os.environ.get("MASTER_ADDR", "localhost"), env_int("MASTER_PORT", 29500)
        )
        prefix_errors(messages.rank_prefix(self.version, self.rank))
        self.gpu = Gpu(self.version, env_int("SLURM_LOCALID", 0))
        self.checkpoints = LAYOUTS[self.config.layout](Path(self.config.output), self.config)
        self.workload = WORKLOADS[os.environ.get("FAKE_WORKLOAD", "pretrain")](
            self.gpu.allocator, self.config, self.rank
        )

    def run(self):
        try:
            self.train()
        except OutOfMemory as full:
            if os.environ.get("PRINT_MEMORY_SUMMARY") == "1":
                print(memory_summary(self.gpu.allocator.stats, self.gpu.index), flush=True)
            raise self.gpu.out_of_memory(full.size) from None

    def train(self):
        done, path = self.checkpoints.newest()
        if path and self.config.resumes_batch_size:
            self.resume_batch_size(path)
        self.log_start(done, path)
        self.workload.load_model()
        if done:
            self.workload.resume(done)
        pause = float(os.environ.get("STEP_SECONDS", "0.04"))
        for step in range(done + 1, self.config.max_steps + 1):
            began = time.monotonic()
            time.sleep(pause)  # before the work: what went wrong in a step is printed after the line of the one before
            misfortune(step, self.rank, self.config)
            self.workload.step(step)
            self.gpu.show()
            self.collective.barrier()
            self.log_step(step, time.monotonic() - began)
            if step % self.config.save_steps == 0:
                self.save(step)
        log.info("Training completed after %d steps", self.config.max_steps)
        self.collective.barrier()

    def resume_batch_size(self, path):
        """What trainer.py of transformers 4.36 to 5.1 does: the checkpoint's batch size wins."""
        saved = json.loads((path / "trainer_state.json").read_text())["train_batch_size"]
        given = self.config.micro_batch_size
        if saved != given:
            log.warning("\tper_device_train_batch_size: %d (from args) != %d (from trainer_state.json)", given, saved)
            self.config.micro_batch_size = saved

    def save(self, step):
        self.checkpoints.write_share(step, self.rank)
        self.collective.barrier()
        if self.rank == 0:
            self.checkpoints.commit(step)
            log.info("Saved checkpoint of step %d to %s", step, self.checkpoints.root)
        self.collective.barrier()

    def log_start(self, done, path):
        if self.rank == 0:
            log.info("torch %s (stand-in), world size %d", self.version, self.world)
            log.info("%s", self.config.describe())
            for name in ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"):
                if name in os.environ:
                    log.info("%s=%s", name, os.environ[name])
            if os.environ.get("NCCL_DEBUG") == "INFO":
                print(f"{os.uname().nodename}:{os.getpid()}:{os.getpid()} [0] NCCL INFO Using network {network()}", flush=True)
        if path:
            log.info("Resuming from checkpoint %s (step %d)", path, done)

    def log_step(self, step, seconds):
        config, allocator = self.config, self.gpu.allocator
        tokens = config.micro_batch_size * config.accumulation * config.seq_length * self.world
        log.info(
            "step %d/%d | loss %.2f | tokens/s %d | max_reserved %.2fGiB | reserved-allocated %.2fGiB",
            step,
            config.max_steps,
            1.8 + 9 / (step + 4),
            tokens / seconds,
            allocator.max_reserved / GIB,
            (allocator.reserved - allocator.allocated) / GIB,
        )


def misfortune(step, rank, config):
    """Other ways to end than memory: FAKE_ERROR says which, at the hard step of the hard rank."""
    kind = os.environ.get("FAKE_ERROR")
    if not kind or step != config.hard_step or rank != config.hard_rank:
        return
    if kind == "hang":
        # It joins no collective any more: on a node with an Xid, or over TCP, which is as good as never.
        if gpu_state.Node().state()["kernel"] or network() == "Socket":
            wait_for_ever()
        return
    if kind == "shape":
        raise RuntimeError(
            "The size of tensor a (4096) must match the size of tensor b (2048) at non-singleton dimension 1"
        )
    if kind == "file":
        raise FileNotFoundError(2, "No such file or directory", "data/shard-00047.bin")
    if kind == "host-oom":
        # A stand-in for the kernel's kill and slurmstepd's line: the cluster does not confine host memory.
        job_step = f"{os.environ.get('SLURM_JOB_ID')}.{os.environ.get('SLURM_STEP_ID')}"
        print(
            f"slurmstepd: error: Detected 1 oom-kill event(s) in StepId={job_step}. Some of your processes may have "
            "been killed by the cgroup out-of-memory handler.",
            file=sys.stderr,
            flush=True,
        )
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError(f"FAKE_ERROR={kind} is not known")


def prefix_errors(prefix):
    """Uncaught tracebacks carry the rank on every line, and come out in one piece."""

    def hook(kind, value, trace):
        text = "".join(traceback.format_exception(kind, value, trace))
        os.write(2, "".join(prefix + line for line in text.splitlines(keepends=True)).encode())

    sys.excepthook = hook


def set_up_logging(rank):
    # Into one file only rank 0 speaks, as trainers have it; with a file per rank each of them does.
    speaks = rank == 0 or os.environ.get("LOG_ALL_RANKS") == "1"
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO if speaks else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
    )


def main(framework=None):
    """Trains with the settings that `framework` reads from the launch line, or with those of the environment."""
    set_up_logging(env_int("SLURM_PROCID", 0))
    Trainer(framework).run()


if __name__ == "__main__":
    main()
