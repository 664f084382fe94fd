"""How named parts become one number."""

import pytest

from dunwu.records import RewardPart
from dunwu.rewards.combination import weighted_sum


@pytest.mark.parametrize(
    ("parts", "total"),
    [
        ({"a": RewardPart(1.0), "b": RewardPart(0.5)}, 2.0 + 1.5),
        ({"a": RewardPart(1.0), "b": RewardPart(None, "not_applicable")}, 2.0),
        ({"a": RewardPart(1.0), "b": RewardPart(None, "error")}, None),
        ({"a": RewardPart(None, "not_gradable"), "b": RewardPart(1.0)}, None),
        ({"a": RewardPart(None, "not_applicable")}, None),
        ({}, None),
    ],
)
def test_a_part_that_is_missing_excludes_and_one_that_does_not_apply_is_left_out(
    parts: dict[str, RewardPart], total: float | None
) -> None:
    assert weighted_sum(parts, {"a": 2.0, "b": 3.0}) == total


def test_a_part_of_weight_0_is_watched_and_never_paid() -> None:
    parts = {"a": RewardPart(0.5), "watched": RewardPart(None, "error")}
    assert weighted_sum(parts, {"a": 2.0, "watched": 0.0}) == 1.0
    assert weighted_sum({"watched": RewardPart(1.0)}, {"watched": 0.0}) is None


def test_a_negative_weight_is_a_penalty() -> None:
    assert weighted_sum({"a": RewardPart(1.0), "b": RewardPart(0.25)}, {"a": 1.0, "b": -1.0}) == 0.75


def test_the_order_of_the_parts_does_not_matter() -> None:
    values = {"a": 1e16, "b": 1.0, "c": -1e16}
    parts = {name: RewardPart(value) for name, value in values.items()}
    weights = dict.fromkeys(values, 1.0)
    assert weighted_sum(parts, weights) == 1.0
    assert weighted_sum(dict(reversed(parts.items())), weights) == 1.0
