"""Differences between two models that answered the same problems, with intervals, and what they say of a claim.

Paired: a problem that is hard for both makes neither difference nor uncertainty. Called by the comparison of stages.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance
from typing import Literal

from dunwu.functional.passk import Estimate

Verdict = Literal["holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Difference:
    """A mean difference over problems, and the bounds of its confidence interval.

    The interval is centre plus or minus half; it is not centred at the mean, and reaches no further than a difference can.
    """

    mean: float
    centre: float
    half: float
    num_problems: int

    @property
    def low(self) -> float:
        """The lower bound, within [-1, 1]."""
        return max(-1.0, min(self.mean, self.centre - self.half))

    @property
    def high(self) -> float:
        """The upper bound, within [-1, 1]."""
        return min(1.0, max(self.mean, self.centre + self.half))

    def verdict(self, margin: float) -> Verdict:
        """Whether the difference is above a margin: the whole interval lies above it, below it, or on both sides."""
        if self.low > margin:
            return "holds"
        return "does not hold" if self.high <= margin else "undecided"


def paired_difference(
    first: Mapping[str, float], second: Mapping[str, float], *, confidence: float = 0.95
) -> Difference | None:
    """Compare two models by the scores of the problems that both have.

        d_i = first_i - second_i,   mean = sum d_i / n
        centre = sum d_i / (n + 2),   half = z sqrt(((sum d_i^2 + 1) / (n + 2) - centre^2) / (n + 2))

    With yes-or-no scores the interval is Wald's with half a problem added to each of the four outcomes: where all differences are
    equal, the plain interval would have no width, however few problems there are.

    Args:
        first, second: scores in [0, 1] by problem.
        confidence: in (0, 1).
    Returns:
        None if they have no problem in common.
    Raises:
        ValueError: a score outside [0, 1], or confidence outside (0, 1).
    Source: Agresti and Min, "Simple improved confidence intervals for comparing matched proportions" (2005).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1")
    shared = sorted(first.keys() & second.keys())
    outside = [name for name in shared if not (0 <= first[name] <= 1 and 0 <= second[name] <= 1)]
    if outside:
        name = outside[0]
        raise ValueError(
            f"problem {name} has the scores {first[name]} and {second[name]}; both must be in [0, 1]"
        )
    if not shared:
        return None
    differences = [first[name] - second[name] for name in shared]
    enlarged = len(shared) + 2
    centre = math.fsum(differences) / enlarged
    square = (math.fsum(d * d for d in differences) + 1) / enlarged
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    half = z * math.sqrt((square - centre * centre) / enlarged)
    return Difference(math.fsum(differences) / len(shared), centre, half, len(shared))


def mean_difference(differences: Sequence[Difference]) -> Difference:
    """Average differences that were measured on different problems, each with the same weight.

        half = sqrt(sum half_j^2) / m        variances of independent means add up

    Raises:
        ValueError: there is none.
    """
    if not differences:
        raise ValueError("there are no differences to average; give at least one")
    num = len(differences)
    return Difference(
        math.fsum(d.mean for d in differences) / num,
        math.fsum(d.centre for d in differences) / num,
        math.sqrt(math.fsum(d.half * d.half for d in differences)) / num,
        sum(d.num_problems for d in differences),
    )


def all_verdicts(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a claim that needs all of its parts: "holds" if all hold, "does not hold" if one does not."""
    if "does not hold" in verdicts:
        return "does not hold"
    return "undecided" if "undecided" in verdicts or not verdicts else "holds"


def mean_with_normal_interval(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Average values without bounds (lengths, say) over problems.

        mean plus or minus z s / sqrt(n)

    Raises:
        ValueError: no value, or confidence outside (0, 1).
    """
    if not values or not 0 < confidence < 1:
        raise ValueError(
            f"{len(values)} values and confidence {confidence}; need a value, and confidence between 0 and 1"
        )
    mean = fmean(values)
    spread = variance(values) if len(values) > 1 else 0.0
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(spread / len(values))
    return Estimate(mean, mean - half, mean + half, len(values))
