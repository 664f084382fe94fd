"""Which prompts a rollout takes: endless shuffled passes over the training set, addressed by position. No state.

Called by the RL loop, which keeps only how many prompts were drawn.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dunwu.functional.seeds import derive_seed
from dunwu.records import Prompt


@lru_cache(maxsize=4)
def _permutation(num_prompts: int, seed: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.Philox(key=seed)).permutation(num_prompts)


def draw_prompts(
    prompts: Sequence[Prompt], start: int, num: int, *, run_seed: int, stage: str
) -> list[Prompt]:
    """Prompts number start .. start + num - 1 of the endless order; pass e is a permutation seeded by (run seed, stage, e)."""
    drawn = []
    for position in range(start, start + num):
        epoch, place = divmod(position, len(prompts))
        order = _permutation(len(prompts), derive_seed(run_seed, stage, "order", epoch))
        drawn.append(prompts[order[place]])
    return drawn
