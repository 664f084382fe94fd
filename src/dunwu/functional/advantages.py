"""Group-relative advantages from the rewards of a prompt's rollouts.

Does not compute rewards, and does not decide which rollouts are excluded: None marks them. Sums are exactly
rounded (`math.fsum`), so the result depends neither on the order of the rollouts nor on how groups are
batched. Called by the rollout stage once per rollout, before mini-batches are drawn.

Shape legend: P prompts, G rollouts of each.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

AdvantageScale = Literal["population_std", "sample_std", "batch_std", "none"]


def group_advantages(rewards_PG: Tensor, *, scale: AdvantageScale, eps: float) -> Tensor:
    """Centre each prompt's rewards on its group, optionally in units of a spread.

        A[p, g] = (r[p, g] - mean_g r[p]) / (std + eps)

    `population_std` and `sample_std` take std over the prompt's own row, divided by G or by G - 1;
    `batch_std` takes the population std of all P * G rewards, for every row the same; `none` only centres.

    Args:
        rewards_PG: (P, G) floating point, finite, G >= 2.
        scale: which std.
        eps: > 0, in reward units; unused with `none`.
    Returns:
        (P, G) in the dtype and on the device of the rewards; each row sums to 0 up to rounding; a row of
        equal rewards is exactly 0.
    Raises:
        ValueError: not two-dimensional, G < 2, a non-finite reward (names its row and column), an unknown
            scale, eps <= 0.
    Source: DeepSeek-R1, eq. 3 (`population_std`, `sample_std`); Dr. GRPO, arXiv 2503.20783 (`none`); arXiv
    2508.08221 (`batch_std`).
    Departures: eps, the kind of std and rows without spread are not stated in the papers.
    """
    if rewards_PG.ndim != 2 or rewards_PG.shape[1] < 2:
        raise ValueError(
            f"rewards have shape {tuple(rewards_PG.shape)}; expected (prompts, group) with a group "
            "of at least 2: a group of one has no mean to be compared with"
        )
    rows = ragged_group_advantages(rewards_PG.tolist(), scale=scale, eps=eps)
    return torch.tensor(rows, dtype=rewards_PG.dtype, device=rewards_PG.device).reshape(rewards_PG.shape)


def ragged_group_advantages(
    groups: Sequence[Sequence[float | None]], *, scale: AdvantageScale, eps: float
) -> list[list[float | None]]:
    """The same for groups of different size, some of whose rollouts are excluded.

    A rollout of reward None is in no mean and no std and gets None. A group with fewer than two usable
    rewards gives no comparison: all of it becomes None, and its rewards are left out of `batch_std` too.

    Args:
        groups: rewards of each prompt's rollouts, finite or None.
        scale, eps: as in `group_advantages`.
    Returns:
        A list of the shape of `groups`.
    Raises:
        ValueError: a non-finite reward (names group and rollout), an unknown scale, eps <= 0.
    """
    if scale not in get_args(AdvantageScale):
        raise ValueError(
            f"advantage scale is {scale!r}; it must be one of {', '.join(get_args(AdvantageScale))}"
        )
    if not eps > 0:
        raise ValueError(f"advantage eps is {eps}; it must be above 0")
    for row, group in enumerate(groups):
        for column, reward in enumerate(group):
            if reward is not None and not math.isfinite(reward):
                raise ValueError(
                    f"reward of prompt {row}, rollout {column} is {reward}; rewards must be finite"
                )
    usable = [[reward for reward in group if reward is not None] for group in groups]
    usable = [rewards if len(rewards) >= 2 else [] for rewards in usable]
    batch_std = _std([reward for rewards in usable for reward in rewards], 0) if scale == "batch_std" else 0.0
    return [
        _advantages_of_group(group, rewards, scale, batch_std, eps)
        for group, rewards in zip(groups, usable, strict=True)
    ]


def _advantages_of_group(
    group: Sequence[float | None],
    usable: Sequence[float],
    scale: AdvantageScale,
    batch_std: float,
    eps: float,
) -> list[float | None]:
    if not usable:
        return [None] * len(group)
    if min(usable) == max(usable):  # the rounded mean of equal numbers may differ from them: say 0 outright
        return [None if reward is None else 0.0 for reward in group]
    if scale == "none":
        divisor = 1.0
    else:
        std = batch_std if scale == "batch_std" else _std(usable, 1 if scale == "sample_std" else 0)
        divisor = std + eps
    mean = math.fsum(usable) / len(usable)
    return [None if reward is None else (reward - mean) / divisor for reward in group]


def _std(values: Sequence[float], lost_degrees: int) -> float:
    if len(values) <= lost_degrees:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - lost_degrees))
