"""Problems to show: one that a stage learned to solve, and one as every model of a comparison answers it. Reads the run folder
only.

Called by the report of a run and at the end of `dunwu run`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dunwu.records import Problem, Rollout, RolloutGroup
from dunwu.runs.stage_folder import StageFolder


def find_example(stage: StageFolder) -> tuple[RolloutGroup, Rollout, Rollout] | None:
    """Find a problem and a completion of it before and after that show what was learned.

    The first held-out problem that was mostly wrong before and mostly right after, with a wrong completion
    from before and the longest right one from after; None if there is none.
    """
    if not {"before", "after"} <= set(stage.evaluation_labels()):
        return None
    before = {group.prompt.problem.id: group for group in stage.read_evaluation_samples("before")}
    for group in stage.read_evaluation_samples("after"):
        earlier = before.get(group.prompt.problem.id)
        if earlier is None or not _share_right(earlier) < 0.5 < _share_right(group):
            continue
        wrong = next(r for r in earlier.rollouts if not r.reward.correct)
        right = [r for r in group.rollouts if r.reward.correct]
        return group, wrong, max(right, key=lambda rollout: len(rollout.completion.token_ids))
    return None


@dataclass(frozen=True)
class SideBySide:
    """One problem and each model's first answer to it, in the order of the table's columns."""

    problem: Problem
    answers: tuple[Rollout, ...]
    chosen: bool
    """Whether the first column answers it mostly wrong and `last` mostly right; else it is simply the first problem."""


def answers_side_by_side(comparison: StageFolder, labels: Sequence[str], last: int) -> SideBySide | None:
    """Find a problem that shows how the models of a comparison differ.

    Args:
        labels: the evaluations of the comparison, one for each column, in their order.
        last: the column whose answers should be right where those of the first column are wrong.
    Returns:
        None where an evaluation holds no answers.
    Raises:
        RunError: an evaluation is missing or damaged.
    """
    columns = [comparison.read_evaluation_samples(label) for label in labels]
    problems = list(zip(*columns, strict=False))
    if not problems or not all(group.rollouts for group in problems[0]):
        return None
    telling = (of for of in problems if _share_right(of[0]) < 0.5 < _share_right(of[last]))
    found = next(telling, None)
    groups = found or problems[0]
    return SideBySide(
        groups[0].prompt.problem, tuple(group.rollouts[0] for group in groups), chosen=found is not None
    )


def _share_right(group: RolloutGroup) -> float:
    return sum(r.reward.correct is True for r in group.rollouts) / len(group.rollouts)
