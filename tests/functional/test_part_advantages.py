"""Parts normalised apart, then summed."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.functional.part_advantages import normalised_part_advantages

EPS = 1e-9


def test_two_parts_by_hand() -> None:
    # a: mean 1/2, std 1/2 -> +1 +1 -1 -1; b: mean 0.01, std 0.01 -> +1 -1 +1 -1; sums with 2a + b: 3 1 -1 -3
    group = [{"a": a, "b": b} for a, b in ((1, 0.02), (1, 0), (0, 0.02), (0, 0))]
    (row,) = normalised_part_advantages([group], {"a": 2.0, "b": 1.0}, scale="population_std", eps=EPS)
    rms = math.sqrt((9 + 1 + 1 + 9) / 4)
    assert row == pytest.approx([3 / rms, 1 / rms, -1 / rms, -3 / rms], rel=1e-6)


def test_the_batch_gives_one_scale_to_all_groups() -> None:
    groups = [[{"a": 1.0}, {"a": 0.0}], [{"a": 0.0}] * 3 + [{"a": 1.0}], [{"a": 5.0}] * 2]
    first, second, flat = normalised_part_advantages(groups, {"a": 1.0}, scale="population_std", eps=EPS)
    std = math.sqrt(3) / 4
    sums = [1, -1, *[-0.25 / std] * 3, 0.75 / std, 0, 0]
    assert [*first, *second, *flat] == pytest.approx([s / statistics.pstdev(sums) for s in sums], rel=1e-6)
    assert flat == [0.0, 0.0]


def test_a_part_that_does_not_apply_adds_nothing_and_is_in_no_mean() -> None:
    group = [{"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 0.0}, {"a": 1.0, "b": None}, {"a": 0.0, "b": None}]
    (row,) = normalised_part_advantages([group], {"a": 1.0, "b": 1.0}, scale="population_std", eps=EPS)
    assert row == pytest.approx([x / math.sqrt(10 / 4) for x in (2, -2, 1, -1)], rel=1e-6)
    alone = [{"a": 1.0, "b": 1.0}, {"a": 0.0, "b": None}]  # one value of b has nothing to be compared with
    (row,) = normalised_part_advantages([alone], {"a": 1.0, "b": 1.0}, scale="population_std", eps=EPS)
    assert row == pytest.approx([1.0, -1.0], rel=1e-6)


def test_excluded_rollouts_are_in_no_mean_and_a_group_of_one_is_excluded() -> None:
    groups = [[{"a": 1.0}, None, {"a": 0.0}], [{"a": 9.0}, None]]
    rows = normalised_part_advantages(groups, {"a": 1.0}, scale="population_std", eps=EPS)
    assert rows[0][1] is None
    assert rows[0][::2] == pytest.approx([1.0, -1.0], rel=1e-6)
    assert rows[1] == [None, None]
    assert normalised_part_advantages([], {"a": 1.0}, scale="none", eps=EPS) == []


def test_parts_of_weight_0_and_entries_without_weight_do_not_count() -> None:
    group = [{"a": 1.0, "watched": 0.0, "a.x": 7.0}, {"a": 0.0, "watched": None, "a.x": 1.0}]
    (row,) = normalised_part_advantages([group], {"a": 1.0, "watched": 0.0}, scale="sample_std", eps=EPS)
    assert row == pytest.approx([1.0, -1.0], rel=1e-6)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="eps is 0"):
        normalised_part_advantages([[{"a": 1.0}] * 2], {"a": 1.0}, scale="population_std", eps=0)
    with pytest.raises(ValueError, match="prompt 0, rollout 1 is inf"):
        normalised_part_advantages([[{"a": 1.0}, {"a": math.inf}]], {"a": 1.0}, scale="none", eps=1.0)


VALUES = st.one_of(st.none(), st.floats(-5, 5))
ROLLOUTS = st.one_of(st.none(), st.fixed_dictionaries({"a": VALUES, "b": VALUES}))


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.lists(ROLLOUTS, max_size=6), max_size=5))
def test_every_group_sums_to_0_and_excluded_stays_excluded(
    groups: list[list[dict[str, float | None] | None]],
) -> None:
    rows = normalised_part_advantages(groups, {"a": 1.0, "b": -0.5}, scale="population_std", eps=1e-6)
    for group, row in zip(groups, rows, strict=True):
        usable = sum(values is not None for values in group)
        assert [value is None for value in row] == [values is None or usable < 2 for values in group]
        assert sum(value for value in row if value is not None) == pytest.approx(0, abs=1e-4)
