"""Accuracy on the held-out problems by difficulty, at each evaluation of a stage: which problems did the policy learn to solve?

Called by the dashboard.

Source: DeepSeek-R1 v2, C.1: accuracy over training by MATH's levels.
Departures: problems carry no levels of their own here; one half of the samples of the first evaluation tells each problem's
    level, and only the other half counts in that evaluation's figure. So no level is easy or hard by the chance of its own
    samples.
"""

from typing import Any

import numpy as np

from dunwu.analysis.index_store import Snapshot
from dunwu.functional.passk import mean_with_interval

LEVELS = ("never right at first", "right up to a third", "up to two thirds", "nearly always right at first")
_EDGES = (0.0, 1 / 3, 2 / 3)


def held_out_by_level(snapshot: Snapshot) -> dict[str, Any]:
    """Return, for each evaluation of a stage and each level, the mean accuracy with its interval and the number of problems.

    Args:
        snapshot: of the samples of the stage's evaluations; the first one tells the levels, and needs two samples of a problem.
    """
    labels = [{"label": fact.label, "step": fact.first_step} for fact in snapshot.files if fact.num_rows]
    scores = [_scores(snapshot, place) for place, fact in enumerate(snapshot.files) if fact.num_rows]
    if not scores:
        return {"evaluations": [], "levels": []}
    first = {problem: values for problem, values in scores[0].items() if len(values) > 1}
    level = {
        problem: int(np.searchsorted(_EDGES, values[::2].mean(), side="left"))
        for problem, values in first.items()
    }
    measured = [{problem: values[1::2] for problem, values in first.items()}, *scores[1:]]
    levels = []
    for place, name in enumerate(LEVELS):
        problems = [problem for problem in level if level[problem] == place]
        if problems:
            levels.append({"level": name, "points": [_point(found, problems) for found in measured]})
    return {"evaluations": labels, "levels": levels}


def _scores(snapshot: Snapshot, place: int) -> dict[str, np.ndarray]:
    """Return the verdicts on each problem's graded samples, in the order of the samples."""
    here = slice(int(snapshot.starts[place]), int(snapshot.starts[place + 1]))
    correct, codes = snapshot.column("correct")[here], snapshot.column("prompt_id")[here]
    names = snapshot.values("prompt_id")
    found: dict[str, list[int]] = {}
    for code, verdict in zip(codes.tolist(), correct.tolist(), strict=True):
        if verdict >= 0:
            found.setdefault(names[code], []).append(verdict)
    return {problem: np.array(verdicts, float) for problem, verdicts in found.items()}


def _point(scores: dict[str, np.ndarray], problems: list[str]) -> dict[str, Any] | None:
    means = [float(scores[problem].mean()) for problem in problems if problem in scores]
    if not means:
        return None
    estimate = mean_with_interval(means)
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "problems": len(means)}
