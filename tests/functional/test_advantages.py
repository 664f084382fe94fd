import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.functional.advantages import group_advantages, ragged_group_advantages

steady = settings(deadline=None, derandomize=True, max_examples=60)

ONE_OF_FOUR = [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("scale", "spread"),
    [
        ("population_std", math.sqrt(3) / 4),
        ("sample_std", 0.5),
        ("none", None),
    ],
)
def test_one_right_answer_of_four_by_hand(scale: str, spread: float | None) -> None:
    # mean 1/4; squared distances 9/16 + 3 * 1/16 = 3/4, over 4 or over 3
    divisor = 1.0 if spread is None else spread + 1e-6
    (row,) = group_advantages(
        torch.tensor([ONE_OF_FOUR], dtype=torch.float64), scale=scale, eps=1e-6
    ).tolist()  # type: ignore[arg-type]
    assert row == pytest.approx([0.75 / divisor] + [-0.25 / divisor] * 3, rel=1e-14)


def test_batch_std_is_that_of_all_rewards_and_the_same_for_every_row() -> None:
    rewards = [[0.0, 2.0], [5.0, 6.0]]
    std = statistics.pstdev([0.0, 2.0, 5.0, 6.0])
    result = group_advantages(torch.tensor(rewards, dtype=torch.float64), scale="batch_std", eps=0.5)
    expected = [[-1 / (std + 0.5), 1 / (std + 0.5)], [-0.5 / (std + 0.5), 0.5 / (std + 0.5)]]
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("scale", ["population_std", "sample_std", "batch_std", "none"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e30, -1 / 3])
def test_a_row_without_spread_is_exactly_zero(scale: str, value: float) -> None:
    # the rounded mean of six times 0.1 is not 0.1
    rewards = torch.tensor([[value] * 6, [0.0, 1.0, 2.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    result = group_advantages(rewards, scale=scale, eps=1e-9)  # type: ignore[arg-type]
    assert result[0].tolist() == [0.0] * 6
    assert result[1].abs().min() == 0  # the 2.0 is the mean
    assert result[1].abs().max() > 0


def test_dtype_and_device_are_kept() -> None:
    result = group_advantages(torch.tensor([ONE_OF_FOUR]), scale="population_std", eps=1e-6)
    assert result.dtype == torch.float32
    assert abs(result.sum().item()) < 1e-5
    assert group_advantages(torch.empty(0, 4), scale="none", eps=1.0).shape == (0, 4)


rewards_of_a_group = st.lists(st.floats(-10, 10), min_size=2, max_size=9)


@steady
@given(st.lists(rewards_of_a_group, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_rollouts_and_of_groups_does_not_matter(groups: list[list[float]], random) -> None:  # type: ignore[no-untyped-def]
    for scale in ("population_std", "sample_std", "batch_std", "none"):
        before = ragged_group_advantages(groups, scale=scale, eps=1e-6)  # type: ignore[arg-type]
        order = random.sample(range(len(groups)), len(groups))
        inner = [random.sample(range(len(groups[g])), len(groups[g])) for g in order]
        shuffled = [[groups[g][i] for i in places] for g, places in zip(order, inner, strict=True)]
        after = ragged_group_advantages(shuffled, scale=scale, eps=1e-6)  # type: ignore[arg-type]
        assert after == [[before[g][i] for i in places] for g, places in zip(order, inner, strict=True)]


@steady
@given(rewards_of_a_group)
def test_excluded_rollouts_change_nothing_for_the_others(rewards: list[float]) -> None:
    (clean,) = ragged_group_advantages([rewards], scale="sample_std", eps=1e-6)
    with_gaps: list[float | None] = [None, *rewards[:1], None, *rewards[1:]]
    (row,) = ragged_group_advantages([with_gaps], scale="sample_std", eps=1e-6)
    assert row == [None, clean[0], None, *clean[1:]]


def test_a_group_with_fewer_than_two_usable_rewards_is_excluded_as_a_whole() -> None:
    groups = [[None, 5.0], [None, None], [], [0.0, 1.0]]
    result = ragged_group_advantages(groups, scale="batch_std", eps=1e-9)
    assert result[:3] == [[None, None], [None, None], []]
    assert result[3] == pytest.approx([-1, 1], rel=1e-8)  # the lone 5.0 is not in the batch's std


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 2, 2)])
def test_a_group_of_one_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="of at least 2"):
        group_advantages(torch.zeros(shape), scale="none", eps=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_is_named(bad: float) -> None:
    with pytest.raises(ValueError, match="prompt 1, rollout 2"):
        group_advantages(torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, bad]]), scale="none", eps=1e-6)


def test_an_unknown_scale_and_an_eps_of_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="population_std, sample_std, batch_std, none"):
        ragged_group_advantages([[0.0, 1.0]], scale="std", eps=1e-6)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="eps is 0"):
        ragged_group_advantages([[0.0, 1.0]], scale="none", eps=0.0)
