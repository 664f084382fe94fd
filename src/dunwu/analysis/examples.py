"""One problem that a stage learned to solve, with a completion from before and one from after. Reads the run folder only.

Called by the report of a run and at the end of `dunwu run`.
"""

from dunwu.records import Rollout, RolloutGroup
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


def _share_right(group: RolloutGroup) -> float:
    return sum(r.reward.correct is True for r in group.rollouts) / len(group.rollouts)
