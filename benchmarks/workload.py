"""The work that both sides of the step comparison do: the same questions, counts, lengths and objective.

Imports neither torch nor a trainer: the orchestrator and both workers read their sizes from here.
"""

import json
import random
import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class StepWorkload:
    """One GRPO step: `num_prompts` x `group_size` completions of exactly `completion_tokens` tokens each.

    `peer_micro_batch` (completions) and `micro_batch_tokens` (tokens of a packed row of ours: about one
    group) are how each side cuts the step for its memory; both change speed and memory, not the result.
    """

    model: str
    num_prompts: int = 8
    group_size: int = 8
    completion_tokens: int = 128
    num_steps: int = 3
    kl_coef: float = 0.001
    learning_rate: float = 1e-6
    temperature: float = 1.0
    seed: int = 0
    peer_micro_batch: int = 8
    micro_batch_tokens: int = 1280

    @property
    def num_sequences(self) -> int:
        """Completions of one step."""
        return self.num_prompts * self.group_size

    @property
    def tokens_per_step(self) -> int:
        """Completion tokens that one step generates, and trains on."""
        return self.num_sequences * self.completion_tokens

    def questions(self) -> list[tuple[str, str]]:
        """All (question, answer) pairs in the order of use: step s takes the s-th run of `num_prompts`."""
        source = random.Random(self.seed)
        pairs = []
        while len(pairs) < self.num_steps * self.num_prompts:
            a, b = source.randint(10, 99), source.randint(10, 99)
            pairs.append((f"What is {a} + {b}? Think step by step.", str(a + b)))
        return pairs

    def to_json(self) -> str:
        """The form in which a worker gets it, as its only argument."""
        return json.dumps(asdict(self))


def text_reward(text: str) -> float:
    """The reward of a completion on both sides: its length in characters, in thousands.

    It differs within every group, so every token has a gradient: no side can leave out work for lack of
        advantage.
    """
    return len(text) / 1000


def workload_from_argv() -> StepWorkload:
    """The workload that the orchestrator passed to this worker process."""
    return StepWorkload(**json.loads(sys.argv[1]))
