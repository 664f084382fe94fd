"""Which updates a rollout serves, worked out from the number of the step alone, so that a continued stage agrees with itself.

Called by the loop of the stages that train on their own completions, by sampling, and by whoever tells what a recipe will do.
"""

from dataclasses import dataclass

from dunwu.config.on_policy import OnPolicyConfig


@dataclass(frozen=True)
class RolloutSpan:
    """The updates that are made from one rollout.

    Args:
        start: updates made before its first.
        num_steps: updates made from it, all inner epochs together.
        is_general: whether general prompts are in it.
    """

    start: int
    num_steps: int
    is_general: bool


def rollout_span(config: OnPolicyConfig, step: int) -> RolloutSpan:
    """Return the rollout that update number step + 1 is made from.

    A rollout serves steps_per_rollout * inner_epochs updates; the last before general prompts begin, and the stage's last, as
    many as are left.
    """
    whole = config.steps_per_rollout * config.inner_epochs
    begin = general_begin(config)
    first, end = (
        (0, config.num_steps) if begin is None else (0, begin) if step < begin else (begin, config.num_steps)
    )
    start = first + (step - first) // whole * whole
    return RolloutSpan(start, min(whole, end - start), begin is not None and start >= begin)


def general_begin(config: OnPolicyConfig) -> int | None:
    """Return how many steps are made before general prompts are drawn; None for a stage that never draws them."""
    general = config.general_prompts
    return None if general is None else config.num_steps - general.steps


def rollout_counts(config: OnPolicyConfig) -> list[tuple[RolloutSpan, int]]:
    """Count a stage's rollouts, in order: the first of each run of equal ones, and how many there are in it."""
    whole = config.steps_per_rollout * config.inner_epochs
    begin = general_begin(config) or 0
    counts = []
    for first, end in ((0, begin), (begin, config.num_steps)):
        full, rest = divmod(end - first, whole)
        if full:
            counts.append((rollout_span(config, first), full))
        if rest:
            counts.append((rollout_span(config, end - rest), 1))
    return counts


def num_prompts(config: OnPolicyConfig, span: RolloutSpan) -> tuple[int, int]:
    """Return how many reasoning prompts and how many general prompts a rollout takes."""
    total = config.prompts_per_step * (span.num_steps // config.inner_epochs)
    general = config.general_prompts
    drawn = round(general.share * total) if general is not None and span.is_general else 0
    return total - drawn, drawn
