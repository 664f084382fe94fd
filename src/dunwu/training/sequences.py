"""What a policy update is made from: one record per trained completion. Built from rollout groups, cut into mini-batches.

Called by the RL loop. Knows nothing of packing or of losses.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from dunwu.records import RolloutGroup


@dataclass(frozen=True)
class TrainSequence:
    """One completion as training sees it; `sampling_logprobs[t]` is what the engine drew `completion_ids[t]` with."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    sampling_logprobs: tuple[float, ...]
    advantage: float
    group: int  # index of its group in the rollout
    rollout: int  # index of its rollout in the group


def train_sequences(groups: Sequence[RolloutGroup]) -> list[TrainSequence]:
    """The rollouts that have an advantage, in order; excluded ones leave no trace in any denominator."""
    return [
        TrainSequence(
            group.prompt.token_ids,
            rollout.completion.token_ids,
            rollout.completion.logprobs,
            advantage,
            g,
            i,
        )
        for g, group in enumerate(groups)
        for i, (rollout, advantage) in enumerate(zip(group.rollouts, group.advantages, strict=True))
        if advantage is not None
    ]


def split_into_minibatches(
    sequences: Sequence[TrainSequence], num_minibatches: int, *, by: str, seed: int
) -> list[list[TrainSequence]]:
    """Cut a rollout at random into mini-batches of as equal size as possible.

    Args:
        by: "completion" (completions are dealt out one by one, as in the paper, facts.md section 2) or "prompt" (whole
            groups are, so that each prompt is computed once).
        seed: of the shuffle.
    Returns:
        num_minibatches lists; the order inside each is that of `sequences`, so groups stay together.
    """
    keys = [(s.group if by == "prompt" else (s.group, s.rollout)) for s in sequences]
    units = list(dict.fromkeys(keys))
    random.Random(seed).shuffle(units)
    place = {unit: i * num_minibatches // len(units) for i, unit in enumerate(units)}
    minibatches: list[list[TrainSequence]] = [[] for _ in range(num_minibatches)]
    for key, sequence in zip(keys, sequences, strict=True):
        minibatches[place[key]].append(sequence)
    return minibatches
