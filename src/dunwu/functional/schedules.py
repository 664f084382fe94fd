"""The learning rate over the steps, as a factor of the peak: a function of the step, without state."""

import math
from typing import Literal

ScheduleKind = Literal["constant", "linear", "cosine"]


def lr_multiplier(
    step: int, *, num_steps: int, kind: ScheduleKind, warmup_steps: int, final_frac: float
) -> float:
    """Return the factor of the peak learning rate for one optimizer step.

        warm-up (step < warmup_steps)    (step + 1) / (warmup_steps + 1)
        then, with x from 0 at step warmup_steps to 1 at step num_steps - 1:
        constant   1
        linear     1 - (1 - final_frac) x
        cosine     final_frac + (1 - final_frac) (1 + cos(pi x)) / 2

    No step has factor 0 unless final_frac is 0: the first one already learns. The last step has final_frac.

    Args:
        step: in [0, num_steps), counted from 0.
        num_steps: all steps, warm-up included.
        warmup_steps: >= 0; not less than num_steps: the run ends before the peak.
        final_frac: in [0, 1]; unused with `constant`.
    Raises:
        ValueError: step outside the run, warmup_steps negative, final_frac outside [0, 1], an unknown kind.
    """
    if not 0 <= step < num_steps:
        raise ValueError(f"step is {step}; it must be in [0, {num_steps})")
    if warmup_steps < 0 or not 0 <= final_frac <= 1:
        raise ValueError(f"warmup_steps is {warmup_steps} and final_frac {final_frac}; need >= 0 and [0, 1]")
    if kind not in ("constant", "linear", "cosine"):
        raise ValueError(f"schedule is {kind!r}; it must be constant, linear or cosine")
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(1, num_steps - 1 - warmup_steps)
    if kind == "linear":
        return 1 - (1 - final_frac) * progress
    if kind == "cosine":
        return final_frac + (1 - final_frac) * (1 + math.cos(math.pi * progress)) / 2
    return 1.0
