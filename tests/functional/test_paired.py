"""Paired differences against hand-worked numbers, what their intervals keep to, and the verdicts drawn from them."""

import math
import random

import pytest

from dunwu.functional.paired import (
    Difference,
    all_verdicts,
    mean_difference,
    mean_with_normal_interval,
    paired_difference,
)
from dunwu.functional.passk import mean_with_interval

Z = 1.959963984540054


def test_a_difference_worked_by_hand() -> None:
    first = {"a": 1.0, "b": 1.0, "c": 0.5, "d": 0.0, "only": 1.0}
    second = {"a": 0.0, "b": 1.0, "c": 0.0, "d": 0.0, "other": 0.0}
    found = paired_difference(first, second)
    assert found is not None
    assert found.num_problems == 4
    assert found.mean == pytest.approx(1.5 / 4)
    assert found.centre == pytest.approx(1.5 / 6)
    variance = (1.25 + 1) / 6 - (1.5 / 6) ** 2
    assert found.half == pytest.approx(Z * math.sqrt(variance / 6))


def test_the_other_way_round_it_has_the_other_sign() -> None:
    first, second = {"a": 1.0, "b": 0.25}, {"a": 0.0, "b": 0.5}
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one is not None
    assert other is not None
    assert (other.mean, other.low, other.high) == pytest.approx((-one.mean, -one.high, -one.low))


def test_where_all_differences_are_equal_few_problems_still_leave_doubt() -> None:
    few = paired_difference(dict.fromkeys("ab", 1.0), dict.fromkeys("ab", 0.0))
    many = paired_difference(
        dict.fromkeys(map(str, range(400)), 1.0), dict.fromkeys(map(str, range(400)), 0.0)
    )
    assert few is not None
    assert many is not None
    assert few.mean == few.high == many.mean == many.high == 1.0
    assert few.low < 0.3
    assert 0.97 < many.low < 1.0


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered, rounds = random.Random(5), 0, 600
    for _ in range(rounds):
        problems = range(60)
        hard = {str(p): rng.random() for p in problems}
        first = {p: float(rng.random() < 0.5 + 0.5 * h) for p, h in hard.items()}
        second = {p: float(rng.random() < 0.9 * h) for p, h in hard.items()}
        found = paired_difference(first, second)
        assert found is not None
        covered += found.low <= 0.75 - 0.45 <= found.high
    assert 0.92 < covered / rounds < 0.985


def test_nothing_in_common_is_no_difference_and_scores_must_be_shares() -> None:
    assert paired_difference({"a": 1.0}, {"b": 1.0}) is None
    with pytest.raises(ValueError, match=r"problem a has the scores 1.5 and 0.0; both must be in \[0, 1\]"):
        paired_difference({"a": 1.5}, {"a": 0.0})
    with pytest.raises(ValueError, match="confidence is 1"):
        paired_difference({"a": 1.0}, {"a": 0.0}, confidence=1)


def test_a_mean_of_differences_adds_up_variances() -> None:
    one, other = Difference(0.4, 0.3, 0.3, 10), Difference(0.0, 0.1, 0.4, 20)
    found = mean_difference([one, other])
    assert found == Difference(pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.25), 30)
    with pytest.raises(ValueError, match="no differences"):
        mean_difference([])


@pytest.mark.parametrize(
    ("centre", "half", "margin", "verdict"),
    [
        (0.3, 0.1, 0.1, "holds"),
        (0.3, 0.1, 0.25, "undecided"),
        (0.3, 0.1, 0.5, "does not hold"),
        (0.0, 0.1, 0.0, "undecided"),
        (-0.02, 0.02, -0.05, "holds"),
        (-0.3, 0.1, 0.0, "does not hold"),
    ],
)
def test_a_verdict_needs_the_whole_interval(centre: float, half: float, margin: float, verdict: str) -> None:
    assert Difference(centre, centre, half, 50).verdict(margin) == verdict


def test_a_claim_holds_if_all_of_its_parts_do() -> None:
    assert all_verdicts(["holds", "holds"]) == "holds"
    assert all_verdicts(["holds", "undecided"]) == "undecided"
    assert all_verdicts(["undecided", "does not hold", "holds"]) == "does not hold"
    assert all_verdicts([]) == "undecided"


def test_values_without_bounds_get_the_usual_interval() -> None:
    found = mean_with_normal_interval([10.0, 20.0, 30.0, 40.0])
    half = Z * math.sqrt((225 + 25 + 25 + 225) / 3 / 4)
    assert (found.mean, found.low, found.high) == pytest.approx((25.0, 25.0 - half, 25.0 + half))
    assert mean_with_normal_interval([7.0]).low == 7.0
    with pytest.raises(ValueError, match="0 values"):
        mean_with_normal_interval([])


def test_the_interval_of_shares_holds_its_mean_whatever_the_rounding() -> None:
    for num in range(1, 200):
        for value in (0.0, 1.0):
            found = mean_with_interval([value] * num)
            assert found.low <= found.mean <= found.high
