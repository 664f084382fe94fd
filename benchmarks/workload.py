"""The work that the sides of a comparison do: the same questions, counts, lengths and objective.

Imports neither torch nor a trainer: the orchestrator and all workers, whatever their environment, read their sizes from
here.
"""

import json
import random
import sys
from dataclasses import asdict, dataclass
from typing import Any

CONTEXT_WORDS = ("box", "shelf", "crate", "drawer", "basket")


@dataclass(frozen=True)
class StepWorkload:
    """One GRPO step: `num_prompts` x `group_size` completions of `completion_tokens` tokens each.

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
    dtype: str = "bfloat16"
    chat: bool = True
    """The prompt is the question in the model's chat template; else the question and a line break."""
    shortest_tokens: int | None = None
    """Varied: each completion's length is drawn between this and `completion_tokens`. None: all have the same."""
    most_sentences: int = 0
    """Varied: before each question stand so many sentences of context at most, their number drawn."""

    @property
    def num_sequences(self) -> int:
        """Completions of one step."""
        return self.num_prompts * self.group_size

    def lengths(self, step: int) -> list[list[int]]:
        """Tokens of each completion of step `step` (from 0), by prompt; the same on all sides."""
        if self.shortest_tokens is None:
            return [[self.completion_tokens] * self.group_size for _ in range(self.num_prompts)]
        source = random.Random(f"{self.seed}/{step}")
        return [
            [source.randint(self.shortest_tokens, self.completion_tokens) for _ in range(self.group_size)]
            for _ in range(self.num_prompts)
        ]

    def tokens_of_step(self, step: int) -> int:
        """Completion tokens that a step generates, and trains on."""
        return sum(map(sum, self.lengths(step)))

    def questions(self) -> list[tuple[str, str]]:
        """All (question, answer) pairs in the order of use: step s takes the s-th run of `num_prompts`."""
        return make_questions(self.num_steps * self.num_prompts, self.seed, range(self.most_sentences + 1))

    def to_json(self) -> str:
        """The form in which a worker gets it, as its only argument."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Cell:
    """One measurement of generation: `num_prompts` prompts, `group_size` continuations of each, all of `new_tokens` tokens."""

    num_prompts: int
    group_size: int
    new_tokens: int
    sentences: int = 0
    temperature: float = 1.0
    seed: int = 0

    @property
    def num_sequences(self) -> int:
        return self.num_prompts * self.group_size

    @property
    def num_tokens(self) -> int:
        """Tokens that are generated."""
        return self.num_sequences * self.new_tokens

    @property
    def name(self) -> str:
        """What the cell is called in tables and in the results file."""
        prompt = "long" if self.sentences else "short"
        return (
            f"{self.num_sequences} sequences, {prompt} prompts, {'sampled' if self.temperature else 'greedy'}"
        )

    def questions(self) -> list[str]:
        """The cell's questions; others for each seed, so that no side can use what it kept of an earlier round."""
        sentences = range(self.sentences, self.sentences + 1)
        return [question for question, _ in make_questions(self.num_prompts, self.seed, sentences)]


@dataclass(frozen=True)
class SftWorkload:
    """Fine-tuning on packed rows: `rows_per_step` rows of at most `row_tokens` tokens each, all tokens trained on."""

    model: str
    vocab_size: int
    row_tokens: int = 1024
    rows_per_step: int = 8
    num_steps: int = 3
    shortest_tokens: int = 32
    learning_rate: float = 1e-5
    dtype: str = "bfloat16"
    seed: int = 0
    peer_rows: int = 1
    """Rows of a micro-batch of the peer."""
    peer_packing: str = "bfd"

    def samples(self) -> list[list[int]]:
        """Samples of random token ids, enough for all steps and three more, so that rows can be filled.

        Lengths are log-uniform; the longest fill a row.
        """
        source = random.Random(self.seed)
        wanted = (self.num_steps + 3) * self.rows_per_step * self.row_tokens
        samples: list[list[int]] = []
        total = 0
        while total < wanted:
            length = round(self.shortest_tokens * (self.row_tokens / self.shortest_tokens) ** source.random())
            samples.append([source.randrange(16, self.vocab_size) for _ in range(length)])
            total += length
        return samples

    def to_json(self) -> str:
        """The form in which a worker gets it, as its only argument."""
        return json.dumps(asdict(self))


def make_questions(count: int, seed: int, sentences: range) -> list[tuple[str, str]]:
    """Pairs of question and answer; before a question stand as many sentences of context as the range allows."""
    source = random.Random(seed)
    pairs = []
    for _ in range(count):
        a, b = source.randint(10, 99), source.randint(10, 99)
        question = f"What is {a} + {b}? Think step by step."
        context = [
            _sentence(source)
            for _ in range(source.choice(sentences) if len(sentences) > 1 else sentences.start)
        ]
        pairs.append((" ".join([*context, question]), str(a + b)))
    return pairs


def _sentence(source: random.Random) -> str:
    word = source.choice(CONTEXT_WORDS)
    return f"The {word} number {source.randint(10, 99)} holds {source.randint(100, 999)} coins."


def text_reward(text: str) -> float:
    """The reward of a completion on both sides: its length in characters, in thousands.

    It differs within every group, so every token has a gradient: no side can leave out work for lack of
        advantage.
    """
    return len(text) / 1000


def workload_from_argv() -> StepWorkload:
    """The workload that the orchestrator passed to this worker process."""
    return StepWorkload(**argument_from_argv())


def argument_from_argv() -> dict[str, Any]:
    """The fields that the orchestrator passed to this worker process."""
    fields: dict[str, Any] = json.loads(sys.argv[1])
    return fields
