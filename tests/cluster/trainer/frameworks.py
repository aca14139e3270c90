"""The settings of a training as its framework reads them: Hugging Face's Trainer with DeepSpeed, Megatron-LM, torchtitan.

Each function takes the words of the launch line and gives the trainer's Config. What the framework refuses is refused here
with the same words, and what it does silently happens silently. After src/transformers/{hf_argparser,training_args}.py and
integrations/deepspeed.py, megatron/training/arguments.py with megatron/core/num_microbatches_calculator.py, and
torchtitan/config/{job_config,manager}.py with train.py at v0.2.2.
"""

import argparse
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Settings:
    micro_batch_size: int
    accumulation: int
    seq_length: int
    activation_checkpointing: bool
    sharding_degree: int
    max_steps: int
    save_steps: int
    output: str
    layout: str
    # Hugging Face's Trainer from 4.36 to 5.1 takes the batch size from trainer_state.json when it resumes.
    resumes_batch_size: bool = False


def switch(word):
    """As hf_argparser's string_to_bool."""
    if word.lower() in ("yes", "true", "t", "y", "1"):
        return True
    if word.lower() in ("no", "false", "f", "n", "0"):
        return False
    raise argparse.ArgumentTypeError(f"Truthy value expected: got {word}")


def hugging_face(words, world):
    parser = argparse.ArgumentParser(prog="run_clm.py", allow_abbrev=False)
    for name, default in (
        ("per_device_train_batch_size", 8),
        ("gradient_accumulation_steps", 1),
        ("block_size", 1024),
        ("max_steps", -1),
        ("save_steps", 500),
    ):
        parser.add_argument(f"--{name}", f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--gradient_checkpointing", type=switch, nargs="?", const=True, default=False)
    for name in ("output_dir", "deepspeed", "model_name_or_path"):
        parser.add_argument(f"--{name}")
    args = parser.parse_args(words)
    micro, steps = args.per_device_train_batch_size, args.gradient_accumulation_steps
    return Settings(
        micro_batch_size=micro,
        accumulation=steps,
        seq_length=args.block_size,
        activation_checkpointing=args.gradient_checkpointing,
        sharding_degree=zero(args.deepspeed, micro, steps, world) if args.deepspeed else 1,
        max_steps=args.max_steps,
        save_steps=args.save_steps,
        output=args.output_dir,
        layout="hf",
        resumes_batch_size=True,
    )


def zero(path, micro, steps, world):
    """Checks a DeepSpeed file against the Trainer's arguments; gives the degree to which it shards."""
    config = json.loads(Path(path).read_text())
    mismatches = []

    def fill_match(key, value, name):
        if config.get(key) == "auto":
            config[key] = value
        elif key in config and config[key] != value:
            mismatches.append(f"- ds {key}={config[key]} vs hf {name}={value}")

    fill_match("train_micro_batch_size_per_gpu", micro, "per_device_train_batch_size")
    fill_match("gradient_accumulation_steps", steps, "gradient_accumulation_steps")
    fill_match("train_batch_size", micro * steps * world, "train_batch_size (calculated)")
    if mismatches:
        listed = "\n".join(mismatches)
        raise ValueError(
            "Please correct the following DeepSpeed config values that mismatch TrainingArguments"
            f" values:\n{listed}\nThe easiest method is to set these DeepSpeed config values to 'auto'."
        )
    # 4 + 12/N bytes per parameter, 2 + 14/N, 16/N (arXiv 1910.02054): what even sharding comes to the same.
    stage = config.get("zero_optimization", {}).get("stage", 0)
    return {0: 1, 1: max(1, world // 4), 2: max(1, world // 2), 3: world}[stage]


def megatron(words, world):
    parser = argparse.ArgumentParser(prog="pretrain_gpt.py", allow_abbrev=False)
    for name in ("num-layers", "hidden-size", "num-attention-heads", "seq-length", "max-position-embeddings"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--micro-batch-size", type=int)
    parser.add_argument("--global-batch-size", type=int)
    parser.add_argument("--tensor-model-parallel-size", type=int, default=1)
    parser.add_argument("--recompute-activations", action="store_true")
    parser.add_argument("--recompute-granularity", choices=("full", "selective"))
    parser.add_argument("--recompute-method", choices=("uniform", "block"))
    parser.add_argument("--recompute-num-layers", type=int)
    parser.add_argument("--use-distributed-optimizer", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--train-iters", type=int, default=120)
    parser.add_argument("--save-interval", type=int, default=20)
    parser.add_argument("--save")
    parser.add_argument("--load")
    args = parser.parse_args(words)
    ranks = world // args.tensor_model_parallel_size
    micro = args.micro_batch_size
    every = micro * ranks
    # Where no global batch is given it is one pass of all ranks.
    batch = args.global_batch_size or every
    assert batch % every == 0, (
        f"global batch size ({batch}) is not divisible by micro batch size ({micro}) times data parallel size ({ranks})"
    )
    assert args.max_position_embeddings >= args.seq_length
    if args.recompute_activations:
        args.recompute_granularity = "selective"
    full = args.recompute_granularity == "full"
    if full:
        assert args.recompute_method is not None, (
            "for distributed recompute activations to work you need to use a recompute method"
        )
        assert args.recompute_num_layers
    return Settings(
        micro_batch_size=micro,
        accumulation=batch // every,
        seq_length=args.seq_length,
        # Core attention alone, which FlashAttention recomputes anyway, is as good as nothing.
        activation_checkpointing=full,
        sharding_degree=world if args.use_distributed_optimizer else max(1, world // 2),
        max_steps=args.train_iters,
        save_steps=args.save_interval,
        output=args.save,
        layout="megatron",
    )


def torchtitan(words, world):
    parser = argparse.ArgumentParser(prog="torchtitan.train", allow_abbrev=False)
    parser.add_argument("--job.config_file", "--job.config-file", dest="config_file", required=True)
    known, rest = parser.parse_known_args(words)
    config = tomllib.loads(Path(known.config_file).read_text())
    # The command line wins over the file; tyro takes both spellings.
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        section, _, key = name.removeprefix("--").partition(".")
        table = config.setdefault(section, {})
        key = key.replace("-", "_")
        table[key] = int(value) if value.lstrip("-").isdigit() else value
    training, parallel = config["training"], config.get("parallelism", {})
    replicate = parallel.get("data_parallel_replicate_degree", 1)
    shard = parallel.get("data_parallel_shard_degree", -1)
    shard = world // replicate if shard == -1 else shard
    ranks = replicate * shard
    local = training["local_batch_size"]
    batch = training.get("global_batch_size", -1)
    if batch < 0:
        batch = local * ranks  # silently
    assert batch % (local * ranks) == 0, (
        f"global batch size must be multiple of local batch size times data-parallel degree ({batch} % ({local} * {ranks}) != 0)"
    )
    checkpoint = config["checkpoint"]
    return Settings(
        micro_batch_size=local,
        accumulation=batch // (local * ranks),
        seq_length=training["seq_len"],
        activation_checkpointing=config.get("activation_checkpoint", {}).get("mode", "selective") == "full",
        sharding_degree=shard,
        max_steps=training["steps"],
        save_steps=checkpoint["interval"],
        output=str(Path(config["job"]["dump_folder"], checkpoint["folder"])),
        layout="torchtitan",
    )
