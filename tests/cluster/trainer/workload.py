"""What a step of training allocates: memory arithmetic of a 7B transformer, turned into requests to the allocator.

Per rank: model states 16 bytes per parameter over the sharding degree (ZeRO, arXiv 1910.02054), activations
34*s*b*h bytes per layer without and 2*s*b*h with recomputation (arXiv 2205.05198, flash attention), logits 4*s*b*V.
Micro-batches of one step repeat the same requests, so one stands for all.
"""

from allocator import MIB

LAYERS, HIDDEN, VOCAB = 32, 4096, 32000
PARAMETERS = 6_738_415_616

# 34*s*b*h of one layer as its tensors: inputs, q/k/v, attention, MLP, dropout masks (in units of s*b*h bytes).
LAYER_TENSORS = (2, 6, 4, 8, 8, 6)

USUAL_SEQUENCE = 2048
REPLAY_STEPS = 41


class Workload:
    """Base: sharded model states, and a step whose longest sequence comes to one rank at one step."""

    def __init__(self, allocator, config, rank):
        self.allocator = allocator
        self.config = config
        self.rank = rank
        self.states = []

    def load_model(self):
        share = PARAMETERS // LAYERS // self.config.sharding_degree
        for _ in range(LAYERS):
            self.states += [self.allocator.malloc(2 * share), self.allocator.malloc(2 * share)]  # weights, gradients

    def make_optimizer_state(self):
        """Adam's: fp32 weights and two moments. A fresh run has none before its first optimizer step."""
        share = PARAMETERS // LAYERS // self.config.sharding_degree
        for _ in range(LAYERS):
            self.states += [self.allocator.malloc(4 * share) for _ in range(3)]

    def sequence(self, step):
        longest = self.is_hard(step) and self.rank == self.config.hard_rank
        return self.config.seq_length if longest else min(USUAL_SEQUENCE, self.config.seq_length)

    def is_hard(self, step):
        """Steps that ask more of one rank than the others: HARD_STEP, and again every 40 steps."""
        return step >= self.config.hard_step and (step - self.config.hard_step) % 40 == 0

    def train(self, step):
        allocator, config = self.allocator, self.config
        tokens = self.sequence(step) * config.micro_batch_size
        layer = [unit * tokens * HIDDEN for unit in LAYER_TENSORS]
        gathered = 2 * PARAMETERS // LAYERS

        kept = []
        for _ in range(LAYERS):
            weights = allocator.malloc(gathered)
            if config.activation_checkpointing:
                kept.append([allocator.malloc(2 * tokens * HIDDEN)])
                self._free([allocator.malloc(size) for size in layer])
            else:
                kept.append([allocator.malloc(size) for size in layer])
            allocator.free(weights)
        self._free([allocator.malloc(4 * tokens * VOCAB) for _ in range(2)])  # logits and their gradient
        for activations in reversed(kept):
            weights = allocator.malloc(gathered)
            if config.activation_checkpointing:
                self._free([allocator.malloc(size) for size in layer])
            self._free(activations)
            allocator.free(weights)

    def _free(self, blocks):
        for block in blocks:
            self.allocator.free(block)

    def resume(self, _step):
        self.make_optimizer_state()

    def step(self, step):
        self.train(step)
        if len(self.states) == 2 * LAYERS:
            self.make_optimizer_state()


class Rollout(Workload):
    """Reinforcement learning: generation before every training step, and now and then a whole-model gather.

    This is what fragments. Every group of answers has a key/value cache; when it is done, a scoring workspace takes
    the cache's place and the group's result fits exactly into what that leaves. The result stays in the replay buffer,
    so the whole segment stays, and the next group, whose answers are a little longer, fits into none of the gaps.
    The buffer is independent of micro-batch, sequence length, sharding and recomputation. In the end the weights are
    gathered in fp32 for the inference engine: one tensor that no gap can hold, though the gaps together could.
    As such trainers do, the cache is emptied between training and generation: that frees no gap either.
    """

    RESULT = 12 * MIB
    CACHE = 64 * MIB
    GROWTH = 2 * MIB
    GROUPS, FEW_GROUPS = 10, 1

    def __init__(self, allocator, config, rank):
        super().__init__(allocator, config, rank)
        self.replay = []

    def sequence(self, _step):
        return min(USUAL_SEQUENCE, self.config.seq_length)

    def resume(self, step):
        """The replay buffer is in no checkpoint: it is generated anew, and with it come the gaps."""
        super().resume(step)
        for earlier in range(max(1, step - REPLAY_STEPS + 1), step + 1):
            self.generate(earlier)

    def step(self, step):
        self.allocator.release_cached()
        if self.is_hard(step):
            self.allocator.free(self.allocator.malloc(4 * PARAMETERS))
        self.generate(step)
        super().step(step)

    def generate(self, step):
        allocator = self.allocator
        groups = self.GROUPS if self.rank == self.config.hard_rank else self.FEW_GROUPS
        cache = self.CACHE + self.GROWTH * (step % (2 * REPLAY_STEPS))
        self._free([allocator.malloc(cache) for _ in range(groups)])
        workspaces = [allocator.malloc(cache - self.RESULT) for _ in range(groups)]
        self.replay.append([allocator.malloc(self.RESULT) for _ in range(groups)])
        self._free(workspaces)
        if len(self.replay) > REPLAY_STEPS:
            self._free(self.replay.pop(0))


WORKLOADS = {"pretrain": Workload, "rollout": Rollout}
