"""Advantages from rewards of several parts, each part normalised before they are summed.

In a weighted sum the part with the largest spread decides; here each part counts by its weight alone, and
rollouts that differ only in a part of small spread stay told apart. Called by the sampling half of RL.

Shape legend: P prompts, G rollouts of each, K parts.
"""

import math
from collections.abc import Mapping, Sequence

from dunwu.functional.advantages import AdvantageScale, ragged_group_advantages

PartValues = Mapping[str, float | None]
"""The values of one rollout's parts by name; None for a part that does not apply to it."""


def normalised_part_advantages(
    groups: Sequence[Sequence[PartValues | None]],
    weights: Mapping[str, float],
    *,
    scale: AdvantageScale,
    eps: float,
) -> list[list[float | None]]:
    """Normalise each part within its group, sum by weight, and scale the sums by their spread over the batch.

        z[k, p, g] = (r[k, p, g] - mean_g r[k, p]) / (std_g r[k, p] + eps)
        s[p, g]    = sum_k w[k] z[k, p, g]
        A[p, g]    = s[p, g] / (sqrt(mean_pg s^2) + eps)

    A part is normalised over the rollouts of its group that it applies to; to the others it adds 0, and to all where
    it applies to fewer than two. So every group's sums have mean 0, and the batch's too; only its spread is left to
    divide by.

    Args:
        groups: (P, up to G) part values of each prompt's rollouts, finite; None for a rollout that is excluded.
        weights: w by part name, finite; parts of weight 0 and parts without weight are left out.
        scale: the std of the first step, as in `group_advantages`; "none" only centres.
        eps: > 0, in units of the rewards and of the sums.
    Returns:
        A list of the shape of `groups`; an excluded rollout has None, and so has every rollout of a group with
        fewer than two others.
    Raises:
        ValueError: what `ragged_group_advantages` raises.
    Source: GDPO, arXiv 2601.05242 (normalised apart, summed, normalised over the batch).
    Departures: parts that do not apply are not known there.
    """
    kept = [
        [None] * len(group) if sum(values is not None for values in group) < 2 else list(group)
        for group in groups
    ]
    names = [name for name, weight in weights.items() if weight != 0]
    scores = {
        name: ragged_group_advantages(
            [[None if values is None else values.get(name) for values in group] for group in kept],
            scale=scale,
            eps=eps,
        )
        for name in names
    }
    sums = [
        [
            None if values is None else math.fsum(weights[n] * (scores[n][p][g] or 0.0) for n in names)
            for g, values in enumerate(group)
        ]
        for p, group in enumerate(kept)
    ]
    squares = [value**2 for row in sums for value in row if value is not None]
    divisor = math.sqrt(math.fsum(squares) / len(squares)) + eps if squares else eps
    return [[None if value is None else value / divisor for value in row] for row in sums]
