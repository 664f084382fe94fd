"""Unions and overlaps of time intervals."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.functional.intervals import merge, merge_to, overlap, total

SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda pair: (float(pair[0]), float(sum(pair)))),
    max_size=12,
)


def seconds(intervals: list[tuple[float, float]]) -> set[int]:
    return {second for start, end in intervals for second in range(int(start), int(end))}


@settings(derandomize=True, deadline=None)
@given(SPANS, SPANS)
def test_lengths_are_those_of_counting_second_by_second(
    some: list[tuple[float, float]], others: list[tuple[float, float]]
) -> None:
    assert total(some) == len(seconds(some))
    assert overlap(some, others) == len(seconds(some) & seconds(others)) == overlap(others, some)
    merged = merge(some)
    assert seconds(merged) == seconds(some)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(merged))


def test_near_intervals_become_one() -> None:
    spans = [(5.0, 6.0), (0.0, 1.0), (1.5, 2.0), (0.2, 0.4)]
    assert merge(spans) == [(0.0, 1.0), (1.5, 2.0), (5.0, 6.0)]
    assert merge(spans, gap=0.5) == [(0.0, 2.0), (5.0, 6.0)]


def test_the_shortest_gaps_are_closed_first() -> None:
    spans = [(0.0, 1.0), (1.1, 2.0), (4.0, 5.0), (5.5, 6.0)]
    assert merge_to(spans, 4) == spans
    assert merge_to(spans, 3) == [(0.0, 2.0), (4.0, 5.0), (5.5, 6.0)]
    assert merge_to(spans, 2) == [(0.0, 2.0), (4.0, 6.0)]
    assert merge_to(spans, 1) == [(0.0, 6.0)]
    assert merge_to([], 1) == []


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        merge([(2.0, 1.0)])
    with pytest.raises(ValueError, match="gap is -1"):
        merge([], gap=-1)
    with pytest.raises(ValueError, match="most is 0"):
        merge_to([], 0)
