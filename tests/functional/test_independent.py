"""Newcombe's interval against the example of his paper."""

import pytest

from dunwu.functional.independent import independent_difference
from dunwu.functional.passk import mean_with_interval


def test_newcombe_1998_table_2() -> None:
    """56 of 70 against 48 of 80, method 10: 0.0524 to 0.3339."""
    first = mean_with_interval([1.0] * 56 + [0.0] * 14)
    second = mean_with_interval([1.0] * 48 + [0.0] * 32)
    found = independent_difference(first, second)
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=2e-3), pytest.approx(0.3339, abs=2e-3))
    assert found.num_problems == 70


def test_turned_round_it_is_the_same_with_the_other_sign() -> None:
    first, second = mean_with_interval([1.0, 1.0, 0.0]), mean_with_interval([0.0, 1.0, 0.0, 0.0])
    there, back = independent_difference(first, second), independent_difference(second, first)
    assert (there.mean, there.low, there.high) == (
        -back.mean,
        pytest.approx(-back.high),
        pytest.approx(-back.low),
    )
