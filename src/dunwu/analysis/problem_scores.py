"""What a model scored on each problem of an evaluation, read from its samples, column by column.

Called by the comparison of runs, which pairs the problems that two runs have in common.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from dunwu.functional.passk import majority_score
from dunwu.functional.reflection import checks_itself
from dunwu.runs.evaluations import SampleColumns

Scores = dict[str, dict[str, float]]
"""By figure, then by problem; a problem of which nothing could be measured is missing."""
ACCURACY, MAJORITY, LENGTH, CUT, CHECKS = "accuracy", "majority", "length", "cut", "checks"


def problem_scores(samples: SampleColumns) -> Scores:
    """Score each problem by its samples.

    Returns:
        accuracy, majority (where there are several samples of each), every reward part by its name, checks (share of completions
        that check themselves), length (tokens), cut (share cut at the limit). A problem is known by its id and its question.
    """
    scores: defaultdict[str, dict[str, float]] = defaultdict(dict)
    parts = [name for name in samples if name.startswith("part.") and name != f"part.{ACCURACY}.value"]
    for rows in _by_problem(samples):
        problem = f"{samples['prompt_id'][rows[0]]}\n{samples['question'][rows[0]]}"
        verdicts = [samples["correct"][row] for row in rows]
        _put(scores[ACCURACY], problem, verdicts)
        if len(rows) > 1 and None not in verdicts:
            scores[MAJORITY][problem] = majority_score([samples["answer"][row] for row in rows], verdicts)
        for part in parts:
            name = part.removeprefix("part.").removesuffix(".value")
            _put(scores[name], problem, [samples[part][row] for row in rows])
        _put(scores[CHECKS], problem, [checks_itself(samples["completion"][row]) for row in rows])
        _put(scores[LENGTH], problem, [samples["num_tokens"][row] for row in rows])
        _put(scores[CUT], problem, [samples["finish_reason"][row] == "length" for row in rows])
    return {name: of_problems for name, of_problems in scores.items() if of_problems}


def _by_problem(samples: Mapping[str, Sequence[Any]]) -> list[list[int]]:
    rows: defaultdict[Any, list[int]] = defaultdict(list)
    for row, group in enumerate(samples["group"]):
        rows[group].append(row)
    return list(rows.values())


def _put(scores: dict[str, float], problem: str, values: Sequence[Any]) -> None:
    present = [float(value) for value in values if value is not None]
    if present:
        scores[problem] = fmean(present)
