"""From losses of tokens to the loss of an optimizer batch, whatever the way the batch is cut.

The loss of an optimizer batch is a weighted sum over all its trained tokens. A token's weight follows from
facts about the whole batch (`BatchTotals`) and about its own sequence, never from the micro-batch it happens
to lie in. Therefore the micro-batches' losses add up, and so do their gradients: call backward on each and
divide by nothing; over data-parallel ranks, sum the gradients (or multiply by the number of ranks where they
are averaged).

What leaves the denominators: a sequence that is not trained (truncated and masked, or without a computable
reward) is not packed and is not counted in `BatchTotals`, so the others' weights grow as if it had never been
sampled. A sequence of advantage 0 is trained: it counts, and its KL term is in the loss.

Shape legend: N trained tokens of a micro-batch, S sequences of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dunwu.functional.policy_loss import TokenLoss

Aggregation = Literal["sample_mean", "token_mean", "fixed_length", "sequence"]


@dataclass(frozen=True)
class BatchTotals:
    """Sequences and tokens that one optimizer step trains on, over all its micro-batches and ranks."""

    num_sequences: int
    num_tokens: int


@dataclass(frozen=True)
class LossParts:
    """A micro-batch's share of the loss, and its tokens for diagnosis.

    `loss` (scalar, differentiable) = `policy` + kl_coef * `kl`, the latter two detached. `kl_N` is None when
    no KL is in the loss. Shares of micro-batches add up to the optimizer batch's loss.
    """

    loss: Tensor
    policy: Tensor
    kl: Tensor
    token_loss: TokenLoss
    kl_N: Tensor | None


@dataclass(frozen=True)
class LossStatistics:
    """Figures of an optimizer batch; fractions and means are over its trained tokens, all 0 without any."""

    num_tokens: int
    loss: float
    policy_loss: float
    kl_loss: float
    kl_mean: float
    ratio_mean: float
    ratio_max: float
    clip_low_frac: float
    clip_high_frac: float
    dual_clip_frac: float


def batch_totals(trained_lengths: Iterable[int]) -> BatchTotals:
    """Count an optimizer batch from the number of trained tokens of each sequence that is trained.

    Raises:
        ValueError: a length below 1: a sequence without a trained token must be left out by name, not by
            accident.
    """
    lengths = list(trained_lengths)
    if any(length < 1 for length in lengths):
        raise ValueError(
            f"sequence {lengths.index(min(lengths))} has {min(lengths)} trained tokens; leave it out"
        )
    return BatchTotals(num_sequences=len(lengths), num_tokens=sum(lengths))


def token_weights(
    lengths_S: Tensor,
    sequence_N: Tensor,
    mode: Aggregation,
    totals: BatchTotals,
    *,
    fixed_length: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return the weight of each token's loss in the loss of the optimizer batch.

        sample_mean    1 / (num_sequences * length of the token's sequence)
        token_mean     1 / num_tokens
        fixed_length   1 / (num_sequences * fixed_length)
        sequence       1 / num_sequences: the sum over an output's tokens, mean over outputs

    Args:
        lengths_S: (S,) trained tokens of each sequence, all of them, also those in other micro-batches.
        sequence_N: (N,) int64 into lengths_S.
        mode: which mean.
        totals: of the whole optimizer batch.
        fixed_length: for `fixed_length` only: tokens, >= 1, most often the longest completion allowed.
        dtype: of the result.
    Returns:
        (N,) positive, on the device of sequence_N. Over the optimizer batch they sum to 1 under `sample_mean`
        and `token_mean`, to the mean length under `sequence`, to that over fixed_length under `fixed_length`.
    Raises:
        ValueError: an unknown mode, totals below 1, fixed_length missing, below 1, or given to another mode.
    Source: DeepSeekMath, eq. 3 (sample_mean); DAPO, arXiv 2503.14476 (token_mean); Dr. GRPO, arXiv 2503.20783
    (fixed_length).
    """
    if totals.num_sequences < 1 or totals.num_tokens < 1:
        raise ValueError(f"the optimizer batch is empty: {totals}; skip the step")
    if (mode == "fixed_length") != (fixed_length is not None) or (
        fixed_length is not None and fixed_length < 1
    ):
        raise ValueError(
            f"fixed_length is {fixed_length} for mode {mode!r}; give it, >= 1, for 'fixed_length' only"
        )
    match mode:
        case "sample_mean":
            lengths_N = lengths_S.to(sequence_N.device)[sequence_N]
            return 1.0 / (totals.num_sequences * lengths_N.to(dtype))
        case "token_mean":
            weight = 1.0 / totals.num_tokens
        case "fixed_length":
            assert fixed_length is not None
            weight = 1.0 / (totals.num_sequences * fixed_length)
        case "sequence":
            weight = 1.0 / totals.num_sequences
        case _:
            raise ValueError(
                f"aggregation is {mode!r}; it must be sample_mean, token_mean, fixed_length or sequence"
            )
    return torch.full(sequence_N.shape, weight, dtype=dtype, device=sequence_N.device)


def aggregate_loss(
    token_loss: TokenLoss, weights_N: Tensor, *, kl_N: Tensor | None = None, kl_coef: float = 0.0
) -> LossParts:
    """Sum a micro-batch's weighted token losses and KL terms into its share of the optimizer batch's loss.

        loss = sum_n weights[n] * (loss[n] + kl_coef * kl[n])

    Args:
        token_loss: of N tokens.
        weights_N: (N,) from `token_weights`.
        kl_N: (N,) KL estimates, differentiable; None: no KL in the loss.
        kl_coef: >= 0.
    Returns:
        LossParts; call `.loss.backward()`.
    """
    policy = (weights_N * token_loss.loss_N).sum()
    kl = (weights_N * kl_N).sum() if kl_N is not None else torch.zeros_like(policy)
    loss = policy + kl_coef * kl if kl_N is not None else policy
    return LossParts(loss, policy.detach(), kl.detach(), token_loss, None if kl_N is None else kl_N.detach())


def loss_statistics(parts: Sequence[LossParts]) -> LossStatistics:
    """Put the micro-batches of one optimizer step together into the figures of the step.

    Returns:
        LossStatistics; `kl_mean` is the plain mean over tokens, `kl_loss` the weighted one (before kl_coef).
    """
    num_tokens = sum(part.token_loss.ratio_N.numel() for part in parts)

    def mean(values: Iterable[Tensor]) -> float:
        return sum(value.double().sum().item() for value in values) / max(num_tokens, 1)

    losses = [part.token_loss for part in parts]
    return LossStatistics(
        num_tokens=num_tokens,
        loss=sum(part.loss.item() for part in parts),
        policy_loss=sum(part.policy.item() for part in parts),
        kl_loss=sum(part.kl.item() for part in parts),
        kl_mean=mean(part.kl_N for part in parts if part.kl_N is not None),
        ratio_mean=mean(loss.ratio_N for loss in losses),
        ratio_max=max((loss.ratio_N.max().item() for loss in losses if loss.ratio_N.numel()), default=0.0),
        clip_low_frac=mean(loss.clipped_low_N for loss in losses),
        clip_high_frac=mean(loss.clipped_high_N for loss in losses),
        dual_clip_frac=mean(loss.dual_clipped_N for loss in losses),
    )
