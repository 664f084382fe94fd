"""Frozen records that cross rooms. No I/O, no configuration, no behaviour beyond small derived properties.

The way of one problem through a step:

    Problem --template--> Prompt --engine--> Completion --grading--> Rollout
            --advantages--> RolloutGroup --packing--> PackedBatch

Shape legend: T tokens in a packed row, N trained (target) tokens, S segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # reading a run folder needs the records, not the seconds that importing torch takes
    from torch import Tensor

FinishReason = Literal["stop", "length"]
PartStatus = Literal["ok", "not_applicable", "not_gradable", "error"]


@dataclass(frozen=True)
class Problem:
    """One task item, before any template.

    `id` is stable across runs and languages of the same underlying problem only if the task says so; `kind`
    names the sort of problem within its task ("sum"); `grader` names the rule that judges an answer against
    `reference`.
    """

    id: str
    kind: str
    question: str
    reference: str
    grader: str
    language: str = "en"
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """A problem in its template: the text that the policy continues, and its token ids (tokenised exactly
    once)."""

    problem: Problem
    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class SamplingParams:
    """How to sample one completion. temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 switch the filter
    off.

    `stop_token_ids` end a completion and are kept as its last token (finish reason "stop"); `stop_strings`
    end it at the first token that completes one of them, that token kept. Log-probs returned by an engine are
    those of the distribution that was sampled from at this temperature, before top-k / top-p / min-p
    filtering.
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop_token_ids: tuple[int, ...] = ()
    stop_strings: tuple[str, ...] = ()


@dataclass(frozen=True)
class GenerationRequest:
    """A prompt to be continued len(seeds) times, sample i drawn from seeds[i] alone."""

    token_ids: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Completion:
    """What an engine returns: token ids (the stop token included), log-probs of each, why it ended."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason


@dataclass(frozen=True)
class RewardPart:
    """One named part of a reward. `value` is None exactly when `status` is not "ok"."""

    value: float | None
    status: PartStatus = "ok"
    detail: str = ""


@dataclass(frozen=True)
class Reward:
    """Named parts and their combination. `total` is None when a needed part could not be computed: the
    rollout is excluded.

    `answer` is the extracted, normalised answer (for majority votes), None when there is none.
    """

    total: float | None
    parts: Mapping[str, RewardPart]
    answer: str | None = None

    @property
    def correct(self) -> bool | None:
        """Whether the accuracy part says right (value >= 1); None where accuracy was not computed."""
        part = self.parts.get("accuracy")
        return None if part is None or part.value is None else part.value >= 1.0


@dataclass(frozen=True)
class Rollout:
    """A completion with its decoded text and its reward."""

    sample_index: int
    completion: Completion
    text: str
    reward: Reward


@dataclass(frozen=True)
class RolloutGroup:
    """The G rollouts of one prompt. `advantages[i]` is None for a rollout that is excluded from training."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]
    advantages: tuple[float | None, ...]


@dataclass(frozen=True)
class Segment:
    """Rows [start, end) of a packed row attend causally among themselves and to all of [prefix_start,
    prefix_end).

    The prefix is a shared prompt; it is itself a segment without prefix. An empty prefix has prefix_start ==
    prefix_end.
    """

    start: int
    end: int
    prefix_start: int = 0
    prefix_end: int = 0


@dataclass(frozen=True)
class PackedBatch:
    """Sequences laid end to end, no padding, prompts of a group once. All tensors lie on one device.

    Target n is token `target_ids_N[n]`, predicted by the hidden state at row `source_N[n]`; it belongs to
    sequence `sequence_N[n]` (0 .. num_sequences-1, in the order the sequences were given to packing).
    """

    token_ids_T: Tensor  # (T,) int64
    position_ids_T: Tensor  # (T,) int64, restart at 0 for each prompt
    segments: tuple[Segment, ...]
    source_N: Tensor  # (N,) int64 into T
    target_ids_N: Tensor  # (N,) int64
    sequence_N: Tensor  # (N,) int64
    num_sequences: int
