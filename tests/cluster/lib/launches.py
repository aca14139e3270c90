"""Launch lines and configuration files of training jobs in the style of each framework, as people write them.

Each function writes the files that its launch refers to and gives the part of the batch script that holds the settings, and
the command that starts the ranks.
"""


def hugging_face(world, folder, trainer, ranks):
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf/ds_zero2.json").write_text(f"""{{
  "bf16": {{ "enabled": true }},
  "train_batch_size": {world.micro_batch * world.accumulation * ranks},
  "train_micro_batch_size_per_gpu": {world.micro_batch},
  "gradient_accumulation_steps": {world.accumulation},
  "zero_optimization": {{
    "stage": 2,
    "overlap_comm": true
  }}
}}
""")
    settings = f"""DS_CONFIG=conf/ds_zero2.json
TRAIN_ARGS="
    --per_device_train_batch_size {world.micro_batch} \\
    --gradient_accumulation_steps {world.accumulation} \\
    --block_size {world.sequence}
"
"""
    command = f"""/usr/bin/python3 -u {trainer}/run_clm.py $TRAIN_ARGS \\
    --deepspeed $DS_CONFIG \\
    --output_dir {folder}/checkpoints --save_steps 20 --max_steps 5000"""
    return settings, command


def megatron(world, folder, trainer, ranks):
    settings = f"""MICRO_BATCH_SIZE={world.micro_batch}      # per GPU
GLOBAL_BATCH_SIZE={world.micro_batch * world.accumulation * ranks}

MODEL_ARGS=(
    --num-layers 32
    --hidden-size 4096          # 7B
    --num-attention-heads 32
    --seq-length {world.sequence}
    --max-position-embeddings {world.sequence}
)
TRAINING_ARGS=(
    --micro-batch-size $MICRO_BATCH_SIZE
    --global-batch-size $GLOBAL_BATCH_SIZE
    --train-iters 5000
    --bf16
)
SAVE={folder}/checkpoints
"""
    command = f"""/usr/bin/python3 -u {trainer}/pretrain_gpt.py \\
    "${{MODEL_ARGS[@]}}" "${{TRAINING_ARGS[@]}}" \\
    --save $SAVE --load $SAVE --save-interval 20"""
    return settings, command


def torchtitan(world, folder, _trainer, ranks):
    (folder / "train_configs").mkdir(exist_ok=True)
    (folder / "train_configs/llama_7b.toml").write_text(f"""# 7B on two nodes
[job]
dump_folder = "{folder}"

[training]
local_batch_size = {world.micro_batch}   # per data-parallel rank
seq_len = {world.sequence}
steps = 5000

[parallelism]
data_parallel_replicate_degree = {ranks // world.sharding}
data_parallel_shard_degree = {world.sharding}

[activation_checkpoint]
mode = "selective"

[checkpoint]
enable = true
folder = "checkpoints"
interval = 20
""")
    settings = "CONFIG_FILE=${CONFIG_FILE:-train_configs/llama_7b.toml}\n"
    return settings, "/usr/bin/python3 -u -m torchtitan.train --job.config_file $CONFIG_FILE"


LAUNCHES = {"hugging-face": hugging_face, "megatron": megatron, "torchtitan": torchtitan}
