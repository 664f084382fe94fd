"""Differences between figures that were measured apart, from the intervals of each. Pure.

Where both models answered the same problems, `functional.paired` says more. Called by the comparison of runs.
"""

import math

from dunwu.functional.passk import Estimate


def independent_difference(first: Estimate, second: Estimate) -> Estimate:
    """Return first - second with an interval made of the two.

        d = m1 - m2
        low = d - sqrt((m1 - low1)^2 + (high2 - m2)^2)
        high = d + sqrt((high1 - m1)^2 + (m2 - low2)^2)

    Of figures measured on the same problems it is wider than need be, mostly.

    Returns:
        `num_problems` is that of the smaller set.
    Source: Newcombe, "Interval estimation for the difference between independent proportions" (1998), method 10.
    """
    difference = first.mean - second.mean
    return Estimate(
        difference,
        difference - math.hypot(first.mean - first.low, second.high - second.mean),
        difference + math.hypot(first.high - first.mean, second.mean - second.low),
        min(first.num_problems, second.num_problems),
    )
