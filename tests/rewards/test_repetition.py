"""The share of n-grams that occurred before, by hand."""

import pytest

from dunwu.config.shaping import RepetitionReward
from dunwu.records import Problem
from dunwu.rewards.item import GradingItem
from dunwu.rewards.repetition import repetition_part


def value(text: str, ngram_size: int = 3, max_penalty: float = -1.0) -> float | None:
    item = GradingItem(Problem("p", "k", "?", "5", "math"), text)
    part = repetition_part(item, RepetitionReward(ngram_size=ngram_size, max_penalty=max_penalty))
    assert part.status == "ok"
    return part.value


@pytest.mark.parametrize(
    ("text", "ngram_size", "expected"),
    [
        ("", 3, 0.0),
        ("one two", 3, 0.0),
        ("one two three", 3, 0.0),
        ("one two three four five", 3, 0.0),
        ("a b a b a b", 2, -3 / 5),  # ab ba ab ba ab: two of five are new
        ("x x x x", 1, -3 / 4),
        ("go on go on go on go on", 3, -4 / 6),
        ("Go ON go on", 2, -1 / 3),  # capitals do not matter
        ("我想我想我想", 2, -3 / 5),  # a Chinese character is a unit, without any white space
        ("我想我想我想我想我想我想", 3, -8 / 10),
        ("もしもしもし", 2, -3 / 5),
        ("1 2 1 2", 2, -1 / 3),
        ("12 12 12", 2, -1 / 2),  # a number is one unit
        ("? ? ? ?", 2, -2 / 3),  # and so is a sign
        ("don't don't don't", 1, -2 / 3),
        ("ＧＯ go", 1, -1 / 2),
        ("a\n\n\nb a   b", 2, -1 / 3),  # white space is no unit
    ],
)
def test_penalty_by_hand(text: str, ngram_size: int, expected: float) -> None:
    assert value(text, ngram_size) == pytest.approx(expected)


def test_the_penalty_scales_and_is_never_minus_zero() -> None:
    assert value("x x x x", 1, -0.2) == pytest.approx(-0.15)
    assert value("x x x x", 1, 0.0) == 0.0
    assert str(value("all different words here")) == "0.0"


def test_a_loop_of_any_length_costs_nearly_all() -> None:
    assert value("The final answer is 5. " * 400) == pytest.approx(-1.0, abs=0.01)
    assert value("所以答案是五。" * 400) == pytest.approx(-1.0, abs=0.01)


def test_the_detail_counts() -> None:
    item = GradingItem(Problem("p", "k", "?", "5", "math"), "a b a b a b")
    assert repetition_part(item, RepetitionReward(ngram_size=2)).detail == "3 of 5 2-grams occurred before"
