"""The stage table: figures of several models on the same problems side by side, each with its interval over problems.

From samples that are graded already; it samples and judges nothing, and loads no model. Called by the comparison of stages.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from dunwu.functional.paired import mean_with_normal_interval
from dunwu.functional.passk import majority_score, mean_with_interval
from dunwu.records import Reward, RewardPart, Rollout, RolloutGroup

Unit = Literal["share", "tokens"]
ACCURACY, MAJORITY, LENGTH, CUT = "accuracy", "majority", "length", "cut"
FORMAT, READABILITY, LANGUAGE = "format", "readability", "language"
HELPFULNESS, HARMLESSNESS = "helpfulness", "harmlessness"
PER_KIND = f"{ACCURACY}."
"""How the keys of the rows for one kind of problem begin."""
_NAMES = {
    ACCURACY: "right answers (pass@1)",
    FORMAT: "right format",
    READABILITY: "readable",
    LANGUAGE: "language consistency",
    HELPFULNESS: "helpfulness",
    HARMLESSNESS: "harmlessness",
    LENGTH: "length in tokens",
    CUT: "cut at the limit",
}

ProblemScores = Mapping[str, float]
"""One model's score of each problem; a problem of which nothing could be measured is missing."""


@dataclass(frozen=True)
class MeasuredColumn:
    """What is known of one model: a score of each problem for each row of the table."""

    label: str
    role: str | None
    scores: Mapping[str, ProblemScores]

    def has(self, row: str) -> bool:
        """Whether anything was measured for a row."""
        return bool(self.scores.get(row))


def measured_column(
    label: str, role: str | None, groups: Sequence[RolloutGroup], general: Sequence[RolloutGroup] = ()
) -> MeasuredColumn:
    """Score each problem by its samples.

    Args:
        groups: of problems that are graded, with the parts accuracy, format, language and readability.
        general: of general prompts, with the part helpfulness or harmlessness. Position in each tells which problem it is, so
            that they must be the same and in the same order for every column.
    """
    kinds = sorted({group.prompt.problem.kind for group in groups})
    scores = {
        ACCURACY: _by_problem(groups, lambda group: _mean(_verdicts(group))),
        MAJORITY: _by_problem(groups, _majority),
        **{part: _by_problem(groups, _mean_part(part)) for part in (FORMAT, READABILITY, LANGUAGE)},
        **{part: _by_problem(general, _mean_part(part)) for part in (HELPFULNESS, HARMLESSNESS)},
        LENGTH: _by_problem(groups, lambda group: fmean(len(r.completion.token_ids) for r in group.rollouts)),
        CUT: _by_problem(
            groups, lambda group: fmean(r.completion.finish_reason == "length" for r in group.rollouts)
        ),
    }
    for kind in kinds if len(kinds) > 1 else ():
        scores[PER_KIND + kind] = {
            name: score
            for name, score in scores[ACCURACY].items()
            if groups[int(name)].prompt.problem.kind == kind
        }
    return MeasuredColumn(label, role, scores)


def table_rows(columns: Sequence[MeasuredColumn], num_samples: int) -> list[dict[str, Any]]:
    """Return the rows of the table as plain data, those left out for which no column has anything.

    Returns:
        For each row key, name, unit ("share" or "tokens") and cells: one for each column, with value, low, high and num_problems;
        None where nothing was measured.
    """
    kinds = sorted({key for column in columns for key in column.scores if key.startswith(PER_KIND)})
    keys = [ACCURACY, *kinds, MAJORITY, FORMAT, READABILITY, LANGUAGE, HELPFULNESS, HARMLESSNESS, LENGTH, CUT]
    names = {**_NAMES, MAJORITY: f"majority vote (cons@{num_samples})"}
    rows = []
    for key in keys:
        if not any(column.has(key) for column in columns) or (key == MAJORITY and num_samples < 2):
            continue
        unit: Unit = "tokens" if key == LENGTH else "share"
        name = names.get(key) or f"right answers: {key.removeprefix(PER_KIND)}"
        cells = [_cell(list(column.scores.get(key, {}).values()), unit) for column in columns]
        rows.append({"key": key, "name": name, "unit": unit, "cells": cells})
    return rows


def with_parts(
    groups: Sequence[RolloutGroup], name: str, part: Callable[[RolloutGroup, Rollout], RewardPart]
) -> tuple[RolloutGroup, ...]:
    """Return the groups with one more named part in the reward of every rollout; totals stay as they are."""
    return tuple(
        replace(
            group,
            rollouts=tuple(
                replace(rollout, reward=_with_part(rollout.reward, name, part(group, rollout)))
                for rollout in group.rollouts
            ),
        )
        for group in groups
    )


def _with_part(reward: Reward, name: str, part: RewardPart) -> Reward:
    return replace(reward, parts={**reward.parts, name: part})


def _cell(scores: Sequence[float], unit: Unit) -> dict[str, Any] | None:
    if not scores:
        return None
    found = mean_with_interval(scores) if unit == "share" else mean_with_normal_interval(scores)
    return {"value": found.mean, "low": found.low, "high": found.high, "num_problems": found.num_problems}


def _by_problem(
    groups: Sequence[RolloutGroup], score: Callable[[RolloutGroup], float | None]
) -> dict[str, float]:
    found = {str(index): score(group) for index, group in enumerate(groups)}
    return {name: value for name, value in found.items() if value is not None}


def _verdicts(group: RolloutGroup) -> list[float | None]:
    verdicts = [rollout.reward.correct for rollout in group.rollouts]
    return [None if verdict is None else float(verdict) for verdict in verdicts]


def _majority(group: RolloutGroup) -> float | None:
    """The score of the majority's answer; None if a sample could not be graded."""
    verdicts = [rollout.reward.correct for rollout in group.rollouts]
    if any(verdict is None for verdict in verdicts):
        return None
    return majority_score([r.reward.answer for r in group.rollouts], [bool(v) for v in verdicts])


def _mean_part(name: str) -> Callable[[RolloutGroup], float | None]:
    def score(group: RolloutGroup) -> float | None:
        parts = [rollout.reward.parts.get(name) for rollout in group.rollouts]
        return _mean([None if part is None else part.value for part in parts])

    return score


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if present else None
