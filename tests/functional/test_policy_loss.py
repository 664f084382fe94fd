"""Hand-worked numbers. The papers' equations are compared in tests/reference/test_losses_float64.py."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dunwu.functional.policy_loss import (
    TokenLoss,
    TokenTerms,
    cispo_loss,
    clipped_loss,
    gspo_loss,
    sequence_grpo_loss,
)

RATIOS = [1.0, 1.5, 0.5, 1.5, 0.5, 4.0, 1.1]
ADVANTAGES = [2.0, 2.0, 2.0, -2.0, -2.0, -2.0, 0.0]


def make_terms(
    ratios: list[float], advantages: list[float], sequences: list[int] | None = None
) -> tuple[TokenTerms, Tensor]:
    old_logprobs = torch.linspace(-3, -0.5, len(ratios), dtype=torch.float64)
    logprobs = (old_logprobs + torch.tensor(ratios, dtype=torch.float64).log()).requires_grad_()
    sequence_N = torch.tensor(sequences or [0] * len(ratios))
    num_sequences = int(sequence_N.max()) + 1
    advantages_N = torch.tensor(advantages, dtype=torch.float64)
    return TokenTerms(logprobs, old_logprobs, advantages_N, sequence_N, num_sequences), logprobs


def gradient(result: TokenLoss, logprobs: Tensor) -> list[float]:
    (grad,) = torch.autograd.grad(result.loss_N.sum(), logprobs)
    return grad.tolist()


def test_a_token_is_clipped_only_where_the_advantage_points_further_out() -> None:
    terms, logprobs = make_terms(RATIOS, ADVANTAGES)
    result = clipped_loss(terms, clip_low=0.2, clip_high=0.3)
    assert result.loss_N.tolist() == pytest.approx([-2, -2.6, -1, 3, 1.6, 8, 0])
    # d loss / d logprob = -ratio * A where not clipped
    assert gradient(result, logprobs) == pytest.approx([-2, 0, -1, 3, 0, 8, 0])
    assert result.ratio_N.tolist() == pytest.approx(RATIOS)
    assert result.clipped_high_N.tolist() == [False, True] + [False] * 5
    assert result.clipped_low_N.tolist() == [False] * 4 + [True] + [False] * 2
    assert not result.dual_clipped_N.any()


def test_the_two_bounds_are_separate() -> None:
    terms, _ = make_terms([1.25, 1.35, 0.75, 0.85], [1.0, 1.0, -1.0, -1.0])
    result = clipped_loss(terms, clip_low=0.2, clip_high=0.3)
    assert result.clipped_high_N.tolist() == [False, True, False, False]
    assert result.clipped_low_N.tolist() == [False, False, True, False]


def test_the_paper_s_clip_of_ten_cuts_only_above_eleven() -> None:
    terms, _ = make_terms([10.9, 11.1, 0.001, 20.0], [1.0, 1.0, -1.0, -1.0])
    result = clipped_loss(terms, clip_low=10, clip_high=10)
    assert result.loss_N.tolist() == pytest.approx([-10.9, -11, 0.001, 20])
    assert result.clipped_high_N.tolist() == [False, True, False, False]
    assert not result.clipped_low_N.any()


def test_dual_clip_bounds_the_loss_of_a_bad_token_that_became_likely() -> None:
    terms, logprobs = make_terms(RATIOS, ADVANTAGES)
    result = clipped_loss(terms, clip_low=0.2, clip_high=0.3, dual_clip=3.0)
    assert result.loss_N.tolist() == pytest.approx([-2, -2.6, -1, 3, 1.6, 6, 0])
    assert gradient(result, logprobs) == pytest.approx([-2, 0, -1, 3, 0, 0, 0])
    assert result.dual_clipped_N.tolist() == [False] * 5 + [True, False]


def test_one_ratio_for_an_output_is_the_product_of_its_tokens() -> None:
    terms, logprobs = make_terms([1.2, 0.9, 1.5, 2.0], [1.0, -1.0, 1.0, -1.0], [0, 1, 0, 1])
    result = sequence_grpo_loss(terms, clip_low=0.5, clip_high=1.0)
    assert result.ratio_N.tolist() == pytest.approx([1.8] * 4)
    assert result.loss_N.tolist() == pytest.approx([-1.8, 1.8, -1.8, 1.8])
    # the loss of an output is counted at each of its 2 tokens here, and each token moves the whole ratio
    assert gradient(result, logprobs) == pytest.approx([-3.6, 3.6, -3.6, 3.6])


def test_gspo_s_ratio_is_the_geometric_mean_and_is_clipped_as_a_whole() -> None:
    terms, logprobs = make_terms([1.44, 1.0, 1.0, 4.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0], [0, 0, 1, 1, 2])
    result = gspo_loss(terms, clip_low=0.3, clip_high=0.3)
    assert result.ratio_N.tolist() == pytest.approx([1.2, 1.2, 2.0, 2.0, 1.0])
    assert result.loss_N.tolist() == pytest.approx([-1.2, -1.2, -1.3, -1.3, -1.0])
    assert gradient(result, logprobs) == pytest.approx([-1.2, -1.2, 0, 0, -1])
    assert result.clipped_high_N.tolist() == [False, False, True, True, False]


@pytest.mark.parametrize("loss", [sequence_grpo_loss, gspo_loss])
def test_dual_clip_reaches_the_sequence_losses(loss: Callable[..., TokenLoss]) -> None:
    terms, _ = make_terms([5.0, 0.1], [-1.0, -1.0], [0, 1])
    result = loss(terms, clip_low=0.3, clip_high=0.3, dual_clip=3.0)
    assert result.loss_N.tolist() == pytest.approx([3.0, 0.7])
    assert result.dual_clipped_N.tolist() == [True, False]


def test_cispo_keeps_the_gradient_of_a_clipped_token() -> None:
    terms, logprobs = make_terms([1.0, 1.5, 0.75], [2.0, -2.0, 2.0])
    result = cispo_loss(terms, clip_low=0.2, clip_high=0.3)
    weights = [1.0, 1.3, 0.8]
    expected = [-w * a * lp for w, a, lp in zip(weights, [2, -2, 2], logprobs.tolist(), strict=True)]
    assert result.loss_N.tolist() == pytest.approx(expected)
    assert gradient(result, logprobs) == pytest.approx([-2.0, 2.6, -1.6])
    assert result.clipped_high_N.tolist() == [False, True, False]
    assert result.clipped_low_N.tolist() == [False, False, True]
    assert not result.dual_clipped_N.any()


def test_a_ratio_that_overflowed_is_clipped_with_gradient_zero() -> None:
    old = torch.tensor([-200.0, -1.0])
    logprobs = torch.tensor([-1.0, -1.0], requires_grad=True)
    terms = TokenTerms(logprobs, old, torch.tensor([1.0, 1.0]), torch.tensor([0, 1]), 2)
    result = clipped_loss(terms, clip_low=0.2, clip_high=0.2)
    assert math.isinf(result.ratio_N[0])
    assert result.loss_N.tolist() == pytest.approx([-1.2, -1.0])
    assert gradient(result, logprobs) == [0.0, -1.0]


def test_a_log_prob_that_is_not_a_number_is_not_hidden() -> None:
    terms, _ = make_terms([1.0, math.nan], [1.0, 1.0])
    for loss in (clipped_loss, sequence_grpo_loss, gspo_loss, cispo_loss):
        assert torch.isnan(loss(terms, clip_low=0.2, clip_high=0.2).loss_N).any()


@pytest.mark.parametrize("loss", [clipped_loss, sequence_grpo_loss, gspo_loss, cispo_loss])
def test_no_gradient_flows_into_the_old_policy_and_empty_batches_are_fine(
    loss: Callable[..., TokenLoss],
) -> None:
    old = torch.zeros(2, requires_grad=True)
    terms = TokenTerms(
        torch.ones(2, requires_grad=True), old.detach(), torch.ones(2), torch.zeros(2, dtype=torch.int64), 1
    )
    result = loss(terms, clip_low=0.2, clip_high=5.0)
    assert result.loss_N.requires_grad
    for name in ("ratio_N", "clipped_low_N", "clipped_high_N", "dual_clipped_N"):
        assert not getattr(result, name).requires_grad
    empty = TokenTerms(torch.ones(0), torch.ones(0), torch.ones(0), torch.zeros(0, dtype=torch.int64), 0)
    assert loss(empty, clip_low=0.2, clip_high=5.0).loss_N.shape == (0,)


@pytest.mark.parametrize("loss", [clipped_loss, sequence_grpo_loss, gspo_loss, cispo_loss])
@pytest.mark.parametrize(("low", "high"), [(0.0, 0.2), (0.2, 0.0), (-1.0, 0.2), (math.nan, 0.2)])
def test_bounds_must_be_above_zero(loss: Callable[..., TokenLoss], low: float, high: float) -> None:
    terms, _ = make_terms([1.0], [1.0])
    with pytest.raises(ValueError, match="both must be above 0"):
        loss(terms, clip_low=low, clip_high=high)


@pytest.mark.parametrize("loss", [clipped_loss, sequence_grpo_loss, gspo_loss])
@pytest.mark.parametrize("dual_clip", [1.0, 0.5, math.nan])
def test_dual_clip_must_be_above_one(loss: Callable[..., TokenLoss], dual_clip: float) -> None:
    terms, _ = make_terms([1.0], [1.0])
    with pytest.raises(ValueError, match="must be above 1"):
        loss(terms, clip_low=0.2, clip_high=0.2, dual_clip=dual_clip)


@pytest.mark.parametrize("name", ["old_logprobs_N", "advantages_N", "sequence_N"])
def test_tensors_of_different_length_are_refused(name: str) -> None:
    tensors = {key: torch.zeros(3) for key in ("logprobs_N", "old_logprobs_N", "advantages_N", "sequence_N")}
    tensors[name] = torch.zeros(1)
    with pytest.raises(ValueError, match=name):
        TokenTerms(**tensors, num_sequences=1)
    with pytest.raises(ValueError, match="must be flat"):
        TokenTerms(torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, 2), 1)
