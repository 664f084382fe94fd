import pytest
import torch

from dunwu.functional.aggregation import (
    BatchTotals,
    aggregate_loss,
    batch_totals,
    loss_statistics,
    token_weights,
)
from dunwu.functional.policy_loss import TokenLoss, TokenTerms, clipped_loss

LENGTHS = torch.tensor([1, 3])
SEQUENCE_N = torch.tensor([0, 1, 1, 1])
TOTALS = BatchTotals(num_sequences=2, num_tokens=4)
WEIGHTS = {
    "sample_mean": [1 / 2, 1 / 6, 1 / 6, 1 / 6],
    "token_mean": [1 / 4] * 4,
    "fixed_length": [1 / 20] * 4,
    "sequence": [1 / 2] * 4,
}


@pytest.mark.parametrize("mode", WEIGHTS)
def test_weights_of_two_sequences_by_hand(mode: str) -> None:
    fixed_length = 10 if mode == "fixed_length" else None
    weights = token_weights(LENGTHS, SEQUENCE_N, mode, TOTALS, fixed_length=fixed_length)  # type: ignore[arg-type]
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx(WEIGHTS[mode], rel=1e-6)


@pytest.mark.parametrize("mode", WEIGHTS)
def test_a_token_s_weight_does_not_depend_on_its_micro_batch(mode: str) -> None:
    totals = BatchTotals(num_sequences=5, num_tokens=31)
    options = {"fixed_length": 10 if mode == "fixed_length" else None, "dtype": torch.float64}
    whole = token_weights(LENGTHS, SEQUENCE_N, mode, totals, **options)  # type: ignore[arg-type]
    alone = token_weights(LENGTHS[1:], torch.zeros(2, dtype=torch.int64), mode, totals, **options)  # type: ignore[arg-type]
    assert alone.tolist() == whole[2:].tolist()


def test_sequences_that_are_not_trained_leave_the_denominators() -> None:
    lengths = {"right": 4, "truncated": 9, "ungraded": 5, "wrong": 2}
    trained = [length for name, length in lengths.items() if name in ("right", "wrong")]
    assert batch_totals(trained) == BatchTotals(num_sequences=2, num_tokens=6)


def test_a_trained_sequence_without_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="sequence 1 has 0 trained tokens"):
        batch_totals([3, 0, 2])


@pytest.mark.parametrize("totals", [BatchTotals(0, 4), BatchTotals(2, 0)])
def test_an_empty_optimizer_batch_is_refused(totals: BatchTotals) -> None:
    with pytest.raises(ValueError, match="is empty"):
        token_weights(LENGTHS, SEQUENCE_N, "token_mean", totals)


@pytest.mark.parametrize(
    ("mode", "fixed_length"), [("fixed_length", None), ("fixed_length", 0), ("token_mean", 10)]
)
def test_fixed_length_belongs_to_its_mode_only(mode: str, fixed_length: int | None) -> None:
    with pytest.raises(ValueError, match="for 'fixed_length' only"):
        token_weights(LENGTHS, SEQUENCE_N, mode, TOTALS, fixed_length=fixed_length)  # type: ignore[arg-type]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="aggregation is 'mean'"):
        token_weights(LENGTHS, SEQUENCE_N, "mean", TOTALS)  # type: ignore[arg-type]


def make_loss(ratios: list[float], advantages: list[float]) -> TokenLoss:
    logprobs = torch.tensor(ratios, dtype=torch.float64).log().requires_grad_()
    zeros = torch.zeros_like(logprobs)
    terms = TokenTerms(
        logprobs,
        zeros,
        torch.tensor(advantages, dtype=torch.float64),
        zeros.long(),
        1,
    )
    return clipped_loss(terms, clip_low=0.2, clip_high=0.2, dual_clip=5.0)


def test_policy_and_kl_terms_are_weighed_alike() -> None:
    token_loss = make_loss([1.0, 1.1], [1.0, -2.0])
    kl_N = torch.tensor([0.5, 0.25], dtype=torch.float64, requires_grad=True)
    parts = aggregate_loss(token_loss, torch.tensor([0.25, 0.5]), kl_N=kl_N, kl_coef=0.1)
    assert parts.policy.item() == pytest.approx(-0.25 + 0.5 * 2.2)
    assert parts.kl.item() == pytest.approx(0.125 + 0.125)
    assert parts.loss.item() == pytest.approx(-0.25 + 1.1 + 0.025)
    parts.loss.backward()
    assert kl_N.grad is not None
    assert kl_N.grad.tolist() == pytest.approx([0.025, 0.05])
    assert not parts.policy.requires_grad
    assert not parts.kl.requires_grad
    assert parts.kl_N is not None
    assert not parts.kl_N.requires_grad


def test_without_kl_the_loss_is_the_policy_s() -> None:
    parts = aggregate_loss(make_loss([1.0], [3.0]), torch.ones(1))
    assert parts.loss.item() == parts.policy.item() == -3
    assert parts.kl.item() == 0
    assert parts.kl_N is None


def test_statistics_are_over_the_tokens_of_all_micro_batches() -> None:
    first = aggregate_loss(
        make_loss([2.0, 1.0, 0.5, 6.0], [1.0, 1.0, -1.0, -1.0]),
        torch.full((4,), 0.2),
        kl_N=torch.tensor([1.0, 2.0, 3.0, 4.0]),
        kl_coef=0.5,
    )
    second = aggregate_loss(
        make_loss([3.0], [1.0]), torch.full((1,), 0.2), kl_N=torch.tensor([10.0]), kl_coef=0.5
    )
    result = loss_statistics([first, second])
    assert result.num_tokens == 5
    assert result.ratio_mean == pytest.approx(12.5 / 5)
    assert result.ratio_max == pytest.approx(6.0)
    assert result.clip_high_frac == pytest.approx(2 / 5)
    assert result.clip_low_frac == pytest.approx(1 / 5)
    assert result.dual_clip_frac == pytest.approx(1 / 5)
    assert result.kl_mean == pytest.approx(4.0)
    assert result.kl_loss == pytest.approx(4.0)
    assert result.policy_loss == pytest.approx(0.2 * (-1.2 - 1 + 0.8 + 5 - 1.2))
    assert result.loss == pytest.approx(result.policy_loss + 0.5 * 4.0)


def test_statistics_of_nothing_are_zero() -> None:
    result = loss_statistics([])
    assert (result.num_tokens, result.ratio_max, result.kl_mean, result.loss) == (0, 0.0, 0.0, 0)
