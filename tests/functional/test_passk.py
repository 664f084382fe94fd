from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from dunwu.functional.passk import (
    cons_at_k,
    majority_score,
    mean_with_interval,
    pass_at_1,
    pass_at_k,
    unbiased_pass_at_k,
)


def test_pass_at_1_is_the_mean_over_problems_not_over_samples() -> None:
    result = pass_at_1([[True, False], [True] * 6])
    assert result.mean == 0.75
    assert result.num_problems == 2


@pytest.mark.parametrize(("num", "right"), [(5, 0), (5, 1), (5, 3), (5, 5), (7, 2)])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(num: int, right: int) -> None:
    samples = [True] * right + [False] * (num - right)
    for k in range(1, num + 1):
        subsets = list(combinations(samples, k))
        share = Fraction(sum(any(subset) for subset in subsets), len(subsets))
        assert unbiased_pass_at_k(num, right, k) == pytest.approx(float(share), abs=1e-14)


def test_pass_at_k_averages_over_problems() -> None:
    # 1 - C(2,2)/C(3,2) = 2/3 and 1 - 0 = 1
    assert pass_at_k([[True, False, False], [True, True, False]], 2).mean == pytest.approx(5 / 6)


def test_pass_at_k_does_not_overflow_with_many_samples() -> None:
    assert 0 < unbiased_pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5)


@pytest.mark.parametrize(("num", "right", "k"), [(4, 1, 5), (4, 1, 0), (4, 5, 1), (4, -1, 1)])
def test_impossible_counts_are_refused(num: int, right: int, k: int) -> None:
    with pytest.raises(ValueError, match="need 1 <= k <= samples"):
        unbiased_pass_at_k(num, right, k)


@pytest.mark.parametrize(
    ("answers", "correct", "score"),
    [
        (["4", "4", "5"], [True, True, False], 1.0),
        (["5", "4", "5"], [False, True, False], 0.0),
        (["4", "5"], [True, False], 0.5),
        (["5", "4"], [False, True], 0.5),
        (["4", "5", "6", None], [True, False, False, False], 1 / 3),
        ([None, None, "4"], [False, False, True], 1.0),
        ([None, None], [False, False], 0.0),
        ([], [], 0.0),
    ],
)
def test_majority_votes_by_hand(answers: list[str | None], correct: list[bool], score: float) -> None:
    assert majority_score(answers, correct) == pytest.approx(score)


def test_cons_at_k_votes_once_for_each_whole_block() -> None:
    answers = ["4", "4", "5", "5", "5", "4", "4"]
    correct = [answer == "4" for answer in answers]
    # blocks (4 4 5) and (5 5 4), the last sample is left over
    assert cons_at_k([answers], [correct], 3).mean == 0.5
    assert cons_at_k([answers], [correct], 7).mean == 1.0
    assert cons_at_k([answers, ["1"] * 3], [correct, [True] * 3], 3).mean == 0.75


@pytest.mark.parametrize(
    ("answers", "correct", "k"), [(["4"], [True], 2), (["4"], [True], 0), (["4", "5"], [True], 1)]
)
def test_a_vote_needs_its_k_samples(answers: list[str | None], correct: list[bool], k: int) -> None:
    with pytest.raises(ValueError, match="problem 0"):
        cons_at_k([answers], [correct], k)


def test_the_interval_of_yes_or_no_problems_is_wilsons() -> None:
    # 8 of 10 at 95 %: by the sample variance, 1.6 / 9, 9 effective trials, raised to the 10 that there are
    result = mean_with_interval([1.0] * 8 + [0.0] * 2)
    assert (result.low, result.high) == pytest.approx((0.49016, 0.94333), abs=1e-4)


def test_the_interval_of_shares_is_the_usual_one_in_the_middle() -> None:
    scores = [0.4, 0.6] * 200
    result = mean_with_interval(scores)
    half = 1.959964 * 0.1 * (400 / 399) ** 0.5 / 20
    assert (result.low, result.high) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-3)


def test_all_right_does_not_claim_certainty_and_bounds_stay_inside() -> None:
    result = mean_with_interval([1.0] * 20)
    assert result.mean == 1.0
    assert result.high == 1.0
    assert result.low == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)
    assert mean_with_interval([0.0] * 20).low == 0.0
    assert mean_with_interval([0.3]).low < 0.3 < mean_with_interval([0.3]).high


def test_a_wider_interval_for_more_confidence() -> None:
    low, high = (mean_with_interval([0.0, 0.5, 1.0, 1.0], confidence=c) for c in (0.5, 0.99))
    assert high.low < low.low < low.mean < low.high < high.high


@pytest.mark.parametrize("mean", [0.5, 0.9, 0.99])
def test_the_interval_covers_the_truth_as_often_as_it_says(mean: float) -> None:
    random = np.random.default_rng(5)
    chances = random.beta(20 * mean, 20 * (1 - mean), size=(400, 100))
    covered = 0
    for row in random.binomial(16, chances) / 16:
        result = mean_with_interval(row.tolist())
        covered += result.low <= mean <= result.high
    assert 0.92 <= covered / 400 <= 0.99


@pytest.mark.parametrize("scores", [[], [1.5], [-0.1], [float("nan")]])
def test_scores_outside_the_unit_interval_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one problem"):
        mean_with_interval(scores)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_an_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_with_interval([0.5], confidence=confidence)


def test_a_difference_in_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        majority_score(["4"], [True, False])
    with pytest.raises(ValueError, match="zip"):
        cons_at_k([["4"]], [], 1)
