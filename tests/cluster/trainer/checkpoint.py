"""Checkpoints in three layouts, each with the marker that its framework writes last. The contents are placeholders.

hf:        checkpoint-40/ with trainer_state.json last (transformers.Trainer). Plain writes, no rename.
megatron:  iter_0000040/ with metadata.json last, then latest_checkpointed_iteration.txt beside it (Megatron-LM).
torchtitan: step-40/ with .metadata last (torch.distributed.checkpoint).
"""

import json
import re


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


class HuggingFace:
    def __init__(self, root, config):
        self.root, self.config = root, config

    def write_share(self, step, rank):
        folder = self.root / f"checkpoint-{step}"
        _write(folder / f"rng_state_{rank}.pth", "rng")
        if rank == 0:
            for name in ("config.json", "model.safetensors", "optimizer.pt", "scheduler.pt"):
                _write(folder / name, f"{name} of step {step}\n")

    def commit(self, step):
        state = {
            "epoch": round(step / self.config.max_steps, 4),
            "global_step": step,
            "max_steps": self.config.max_steps,
            "save_steps": self.config.save_steps,
            "train_batch_size": self.config.micro_batch_size,
        }
        _write(self.root / f"checkpoint-{step}" / "trainer_state.json", json.dumps(state, indent=2) + "\n")

    def newest(self):
        """(step, path) of the newest complete one. transformers itself takes the highest number unseen."""
        found = [(0, None)]
        for marker in self.root.glob("checkpoint-*/trainer_state.json"):
            if match := re.fullmatch(r"checkpoint-(\d+)", marker.parent.name):
                found.append((int(match[1]), marker.parent))
        return max(found)


class Megatron:
    TRACKER = "latest_checkpointed_iteration.txt"

    def __init__(self, root, config):
        self.root, self.config = root, config

    def folder(self, step):
        return self.root / f"iter_{step:07d}"

    def write_share(self, step, rank):
        _write(self.folder(step) / f"__{rank}_0.distcp", f"shard {rank} of step {step}\n")
        if rank == 0:
            _write(self.folder(step) / "common.pt", f"common of step {step}\n")

    def commit(self, step):
        _write(self.folder(step) / ".metadata", "")
        _write(self.folder(step) / "metadata.json", '{"sharded_backend": "torch_dist", "sharded_backend_version": 1}')
        _write(self.root / self.TRACKER, str(step))

    def newest(self):
        try:
            step = int((self.root / self.TRACKER).read_text())
        except FileNotFoundError:
            return 0, None
        return step, self.folder(step)


class TorchTitan:
    def __init__(self, root, config):
        self.root, self.config = root, config

    def write_share(self, step, rank):
        _write(self.root / f"step-{step}" / f"__{rank}_0.distcp", f"shard {rank} of step {step}\n")

    def commit(self, step):
        _write(self.root / f"step-{step}" / ".metadata", "metadata\n")

    def newest(self):
        found = [(0, None)]
        for marker in self.root.glob("step-*/.metadata"):
            if match := re.fullmatch(r"step-(\d+)", marker.parent.name):
                found.append((int(match[1]), marker.parent))
        return max(found)


LAYOUTS = {"hf": HuggingFace, "megatron": Megatron, "torchtitan": TorchTitan}
