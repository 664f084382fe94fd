"""What the paper found of its stages, looked for in a stage table: each claim with its difference, interval and verdict.

A claim is looked at where the columns that it speaks of are there. Margins are stated here, in the record and in
docs/departures.md; what does not hold is told like what does. Called by the comparison of stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dunwu.evaluation.comparison import (
    ACCURACY,
    HARMLESSNESS,
    HELPFULNESS,
    LANGUAGE,
    READABILITY,
    MeasuredColumn,
)
from dunwu.functional.paired import Difference, all_verdicts, mean_difference, paired_difference

FAR = 0.1
"""How much "far above" is at least, in share of right answers; the paper's own distance is larger on every maths benchmark."""
SMALL_COST = 0.05
"""How much a "small" cost is at most, in share of right answers."""


@dataclass(frozen=True)
class Check:
    """One comparison of a claim: `first` must be better than `second` by more than `margin` in the mean of `rows`."""

    first: str
    second: str
    rows: tuple[str, ...]
    margin: float = 0.0


@dataclass(frozen=True)
class Claim:
    """What the paper says, and what must all be seen for it to hold. Roles are those of the columns."""

    key: str
    text: str
    checks: tuple[Check, ...]


_OVERALL = (ACCURACY, HELPFULNESS, HARMLESSNESS)
CLAIMS = (
    Claim(
        "r1_zero_above_base",
        "R1-Zero is far above the base model",
        (Check("r1_zero", "base", (ACCURACY,), FAR),),
    ),
    Claim(
        "cold_start_readability",
        "cold start raises readability",
        (Check("dev1", "r1_zero", (READABILITY,)),),
    ),
    Claim(
        "language_reward",
        "RL with the language reward raises language consistency at small or no cost of right answers",
        (Check("dev2", "dev1", (LANGUAGE,)), Check("dev2", "dev1", (ACCURACY,), -SMALL_COST)),
    ),
    Claim(
        "r1_best",
        "R1 is the best of the chain overall",
        tuple(Check("r1", other, _OVERALL) for other in ("base", "r1_zero", "dev1", "dev2", "dev3")),
    ),
    Claim(
        "distilled_above_rl",
        "distillation beats RL on the same small model",
        (Check("distilled", "small_rl", (ACCURACY,)),),
    ),
)


def find(columns: Sequence[MeasuredColumn], claims: Sequence[Claim] = CLAIMS) -> list[dict[str, Any]]:
    """Look at each claim whose columns are there.

    Returns:
        For each key, claim, verdict and checks. A check has first and second (labels), rows, margin, difference, low, high,
        num_problems and verdict. Of the rows of a check those count that both columns have, each with the same weight; where
        they have none it is undecided.
    """
    by_role = {column.role: column for column in columns if column.role is not None}
    found = []
    for claim in claims:
        checks = [
            _looked_at(check, by_role[check.first], by_role[check.second])
            for check in claim.checks
            if check.first in by_role and check.second in by_role
        ]
        if checks:
            verdict = all_verdicts([check["verdict"] for check in checks])
            found.append({"key": claim.key, "claim": claim.text, "verdict": verdict, "checks": checks})
    return found


def _looked_at(check: Check, first: MeasuredColumn, second: MeasuredColumn) -> dict[str, Any]:
    differences: dict[str, Difference] = {}
    for row in check.rows:
        difference = paired_difference(first.scores.get(row, {}), second.scores.get(row, {}))
        if difference is not None:
            differences[row] = difference
    told: dict[str, Any] = {"first": first.label, "second": second.label, "margin": check.margin}
    if not differences:
        nothing = dict.fromkeys(("difference", "low", "high"))
        return {**told, "rows": list(check.rows), **nothing, "num_problems": 0, "verdict": "undecided"}
    whole = mean_difference(list(differences.values()))
    return {
        **told,
        "rows": list(differences),
        "difference": whole.mean,
        "low": whole.low,
        "high": whole.high,
        "num_problems": whole.num_problems,
        "verdict": whole.verdict(check.margin),
    }
