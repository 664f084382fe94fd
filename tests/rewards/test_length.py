"""Lengths in tokens: where each reward is flat, where it falls, and where it does not apply."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from dunwu.config.shaping import CosineLengthReward, LengthReward, OverlongReward
from dunwu.records import FinishReason, Problem, RewardPart
from dunwu.rewards.item import GradingItem
from dunwu.rewards.length import cosine_length_part, length_part, overlong_part


def item(num_tokens: int | None, finish_reason: FinishReason = "stop", **metadata: Any) -> GradingItem:
    return GradingItem(
        Problem("p", "k", "?", "5", "math", metadata=metadata), "text", finish_reason, num_tokens
    )


@pytest.mark.parametrize(
    ("num_tokens", "expected"),
    [(0, 0.0), (80, 0.0), (81, -0.05), (90, -0.5), (99, -0.95), (100, -1.0), (101, -1.0), (10_000, -1.0)],
)
def test_soft_overlong_is_dapos_equation_13(num_tokens: int, expected: float) -> None:
    config = OverlongReward(max_tokens=100, cache_tokens=20)
    assert overlong_part(item(num_tokens), config).value == pytest.approx(expected)


def test_short_enough_is_plain_zero() -> None:
    assert str(overlong_part(item(80), OverlongReward(max_tokens=100, cache_tokens=20)).value) == "0.0"


def test_hard_overlong_counts_a_cut_completion_as_too_long() -> None:
    config = OverlongReward(max_tokens=100, cache_tokens=0)
    assert overlong_part(item(100), config).value == 0.0
    assert overlong_part(item(101), config).value == -1.0
    assert overlong_part(item(100, "length"), config).value == -1.0
    assert overlong_part(item(50, "length"), config).value == -1.0


def test_a_cache_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(ValidationError, match="cache_tokens is 101; it must be at most max_tokens = 100"):
        OverlongReward(max_tokens=100, cache_tokens=101)
    whole = OverlongReward(max_tokens=100, cache_tokens=100)
    assert overlong_part(item(50), whole).value == -0.5


@pytest.mark.parametrize(
    ("num_tokens", "exact", "at_most"),
    [(0, 0.0, 1.0), (50, 0.5, 1.0), (100, 1.0, 1.0), (125, 0.75, 0.75), (200, 0.0, 0.0), (900, 0.0, 0.0)],
)
def test_length_falls_from_the_target(num_tokens: int, exact: float, at_most: float) -> None:
    assert length_part(item(num_tokens), LengthReward(target_tokens=100)).value == pytest.approx(exact)
    config = LengthReward(target_tokens=100, wanted="at_most")
    assert length_part(item(num_tokens), config).value == pytest.approx(at_most)


def test_the_scale_says_how_fast_and_a_problem_may_have_its_own_target() -> None:
    assert length_part(item(110), LengthReward(target_tokens=100, scale_tokens=20)).value == 0.5
    own = LengthReward(scale_tokens=100)
    assert length_part(item(250, target_tokens=300), own).value == 0.5
    given = LengthReward(target_tokens=250)
    assert length_part(item(250, target_tokens=300), given).value == 1.0


@pytest.mark.parametrize("target", [None, 0, -5, 2.5, "300", True])
def test_a_problem_without_a_usable_target_is_not_gradable(target: Any) -> None:
    part = length_part(item(250, target_tokens=target), LengthReward())
    assert (part.value, part.status) == (None, "not_gradable")
    assert f"target_tokens is {target!r}" in part.detail


RIGHT, WRONG = RewardPart(1.0), RewardPart(0.0)


@pytest.mark.parametrize(
    ("accuracy", "num_tokens", "expected"),
    [
        (RIGHT, 0, 1.0),
        (RIGHT, 50, 0.75),
        (RIGHT, 100, 0.5),
        (RIGHT, 150, 0.5),  # past the limit the wave stays down
        (RIGHT, 200, 0.5),
        (WRONG, 0, -1.0),
        (WRONG, 50, -0.75),
        (WRONG, 100, -0.5),
        (WRONG, 200, -0.5),
        (RewardPart(0.5), 0, -1.0),  # a part of the tests is not right
        (RIGHT, 25, 0.5 + 0.5 * (1 + math.cos(math.pi / 4)) / 2),
    ],
)
def test_cosine_by_hand(accuracy: RewardPart, num_tokens: int, expected: float) -> None:
    config = CosineLengthReward(max_tokens=100)
    assert cosine_length_part(item(num_tokens), accuracy, config).value == pytest.approx(expected)


def test_cosine_of_ones_own_ends_and_the_papers_value_for_exceeding() -> None:
    config = CosineLengthReward(
        max_tokens=100, right_short=2, right_long=1, wrong_short=-10, wrong_long=0, exceeded=-10
    )
    assert cosine_length_part(item(50), RIGHT, config).value == pytest.approx(1.5)
    assert cosine_length_part(item(50), WRONG, config).value == pytest.approx(-5.0)
    assert cosine_length_part(item(100), RIGHT, config).value == -10.0
    assert cosine_length_part(item(60, "length"), RIGHT, config).value == -10.0
    assert cosine_length_part(item(99), RIGHT, config).value == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize(
    ("accuracy", "status"),
    [
        (RewardPart(None, "not_gradable", "bad reference"), "not_applicable"),
        (RewardPart(None, "not_applicable", "none"), "not_applicable"),
        (RewardPart(None, "error", "killed"), "error"),
    ],
)
def test_cosine_without_a_verdict_is_never_a_number(accuracy: RewardPart, status: str) -> None:
    part = cosine_length_part(item(50), accuracy, CosineLengthReward(max_tokens=100))
    assert (part.value, part.status) == (None, status)
    assert accuracy.detail in part.detail


def test_uncounted_tokens_are_not_gradable() -> None:
    parts = [
        overlong_part(item(None), OverlongReward(max_tokens=9, cache_tokens=3)),
        length_part(item(None), LengthReward(target_tokens=9)),
        cosine_length_part(item(None), RIGHT, CosineLengthReward(max_tokens=9)),
    ]
    assert [(part.value, part.status) for part in parts] == [(None, "not_gradable")] * 3
