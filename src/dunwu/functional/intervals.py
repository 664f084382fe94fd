"""Sets of time intervals: what is busy when, and what overlaps. An interval is (start, end) in seconds."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

Interval = tuple[float, float]


def merge(intervals: Iterable[Interval], gap: float = 0.0) -> list[Interval]:
    """Return the union of intervals as few that are disjoint and in order.

    Args:
        intervals: each with start <= end, in any order.
        gap: two that lie at most this far apart count as one.
    Raises:
        ValueError: an interval ends before it starts, or gap is negative.
    """
    if gap < 0:
        raise ValueError(f"gap is {gap}; it must be at least 0")
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if end < start:
            raise ValueError(f"the interval ({start}, {end}) ends before it starts")
        if merged and start - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def merge_to(intervals: Sequence[Interval], most: int) -> list[Interval]:
    """Return the union of intervals as at most `most` disjoint ones, closing the shortest gaps first.

    Raises:
        ValueError: most < 1.
    """
    if most < 1:
        raise ValueError(f"most is {most}; it must be at least 1")
    merged = merge(intervals)
    gaps = sorted(later[0] - earlier[1] for earlier, later in pairwise(merged))
    excess = len(merged) - most
    return merged if excess <= 0 else merge(merged, gaps[excess - 1])


def total(intervals: Iterable[Interval]) -> float:
    """Return how long at least one of the intervals lasts."""
    return sum(end - start for start, end in merge(intervals))


def overlap(some: Iterable[Interval], others: Iterable[Interval]) -> float:
    """Return how long an interval of both sets lasts at the same time."""
    left, right = merge(some), merge(others)
    shared, i, j = 0.0, 0, 0
    while i < len(left) and j < len(right):
        shared += max(0.0, min(left[i][1], right[j][1]) - max(left[i][0], right[j][0]))
        if left[i][1] <= right[j][1]:
            i += 1
        else:
            j += 1
    return shared
