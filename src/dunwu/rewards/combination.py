"""Combines the named parts of a reward into its total. Pure; called by `grading`.

Combinations that need a whole group of rollouts live in `functional.part_advantages`.
"""

import math
from collections.abc import Mapping

from dunwu.records import RewardPart


def weighted_sum(parts: Mapping[str, RewardPart], weights: Mapping[str, float]) -> float | None:
    """Combine parts into a total: sum of weight * value over the parts that apply.

    A part of weight 0 is watched, not paid: it takes no part in the sum, whatever its status. The sum is
    exactly rounded, so it does not depend on the order of the parts.

    Args:
        parts: by name.
        weights: finite, of each part.
    Returns:
        None if a part has status "error" or "not_gradable", or if no part applies.
    Source: DeepSeek-R1, eq. 4.
    """
    counted = {name: part for name, part in parts.items() if weights[name] != 0}
    applicable = {name: part for name, part in counted.items() if part.status != "not_applicable"}
    if not applicable or any(part.value is None for part in applicable.values()):
        return None
    return math.fsum(
        weights[name] * part.value for name, part in applicable.items() if part.value is not None
    )
