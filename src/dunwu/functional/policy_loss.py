"""Policy-gradient losses, one small function for each variant, on the flat tokens of a micro-batch.

Each returns a loss for each token; `aggregation` weighs and sums them, so no function here knows how the
optimizer batch was cut. A loss whose ratio belongs to a whole output gives every token of the output the
output's loss. KL terms are in `kl`. Called by `training.objective`, which matches a recipe's objective to a
function.

    variant         function               aggregation
    grpo            clipped_loss           sample_mean
    dapo            clipped_loss           token_mean, clip_high above clip_low
    dr_grpo         clipped_loss           fixed_length
    sequence_grpo   sequence_grpo_loss     sample_mean, with kl.sequence_kl_estimate
    gspo            gspo_loss              sample_mean
    cispo           cispo_loss             token_mean

Shape legend: N trained tokens of a micro-batch, S sequences of it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dunwu.functional.kl import sum_by_sequence


@dataclass(frozen=True)
class TokenTerms:
    """What every policy loss is made of. Sequences are whole: all trained tokens of an output lie in one
    micro-batch.

    `logprobs_N` (differentiable) are of the policy that is trained, `old_logprobs_N` of the policy that
    sampled, both at the sampling temperature. `advantages_N` repeats an output's advantage on its tokens.
    `sequence_N` (int64, in [0, num_sequences)) says which output a token belongs to.
    """

    logprobs_N: Tensor
    old_logprobs_N: Tensor
    advantages_N: Tensor
    sequence_N: Tensor
    num_sequences: int

    def __post_init__(self) -> None:
        shape = self.logprobs_N.shape
        for name in ("old_logprobs_N", "advantages_N", "sequence_N"):
            if getattr(self, name).shape != shape or len(shape) != 1:
                raise ValueError(
                    f"{name} has shape {tuple(getattr(self, name).shape)} beside logprobs_N {tuple(shape)}; "
                    "all token tensors must be flat and equally long"
                )


@dataclass(frozen=True)
class TokenLoss:
    """A policy loss for each token, and what is worth seeing about it.

    `loss_N` is differentiable; the rest is not. `ratio_N` is the importance ratio before any clip (of the
    output where the ratio belongs to the output). The masks say where a bound took hold: `clipped_low_N` and
    `clipped_high_N` at the clip bounds, `dual_clipped_N` at the dual clip.
    """

    loss_N: Tensor
    ratio_N: Tensor
    clipped_low_N: Tensor
    clipped_high_N: Tensor
    dual_clipped_N: Tensor


def clipped_loss(
    terms: TokenTerms, *, clip_low: float, clip_high: float, dual_clip: float | None = None
) -> TokenLoss:
    """The clipped surrogate with one ratio for each token: GRPO, DAPO and Dr. GRPO.

        r[n] = pi(n) / pi_old(n)
        loss[n] = -min(r[n] A[n], clip(r[n], 1 - clip_low, 1 + clip_high) A[n])

    With `dual_clip` c, the minimum is not let below c A[n] where A[n] < 0: a token that became far more
    likely although it was bad does not take over the step.

    Args:
        terms: the tokens.
        clip_low, clip_high: > 0, distances of the bounds from 1.
        dual_clip: above 1, or None.
    Returns:
        TokenLoss; the gradient of a clipped token is exactly 0, even where its ratio overflowed.
    Raises:
        ValueError: a bound outside its range.
    Source: DeepSeekMath, eq. 3; DAPO, arXiv 2503.14476, eq. 10 (two bounds); arXiv 1912.09729 (dual clip).
    """
    return _clipped_surrogate(terms, terms.logprobs_N - terms.old_logprobs_N, clip_low, clip_high, dual_clip)


def sequence_grpo_loss(
    terms: TokenTerms, *, clip_low: float, clip_high: float, dual_clip: float | None = None
) -> TokenLoss:
    """The clipped surrogate as DeepSeek-R1 prints it: one ratio for each output, no 1 / length.

        r[i] = pi(o_i | q) / pi_old(o_i | q) = exp(sum_t (log pi(o[i,t]) - log pi_old(o[i,t])))
        loss[n] = -min(r[i] A[n], clip(r[i], 1 - clip_low, 1 + clip_high) A[n])      for every token n of o_i

    Args, Returns, Raises: as `clipped_loss`. Weigh with `sample_mean`: the mean of equal numbers is the
    output's loss.
    Source: DeepSeek-R1, eq. 1.
    """
    log_ratio_N = _sequence_log_ratios(terms, per_token=False)
    return _clipped_surrogate(terms, log_ratio_N, clip_low, clip_high, dual_clip)


def gspo_loss(
    terms: TokenTerms, *, clip_low: float, clip_high: float, dual_clip: float | None = None
) -> TokenLoss:
    """The clipped surrogate with one length-normalised ratio for each output.

        s[i] = (pi(o_i | q) / pi_old(o_i | q)) ** (1 / |o_i|)

    Args, Returns, Raises: as `clipped_loss`; bounds are of the order of 1e-4. Weigh with `sample_mean`.
    Source: GSPO, arXiv 2507.18071, eq. 5 to 7.
    """
    log_ratio_N = _sequence_log_ratios(terms, per_token=True)
    return _clipped_surrogate(terms, log_ratio_N, clip_low, clip_high, dual_clip)


def cispo_loss(terms: TokenTerms, *, clip_low: float, clip_high: float) -> TokenLoss:
    """Policy gradient under a clipped importance weight that is a constant: no token loses its gradient.

        loss[n] = -stop_gradient(clip(r[n], 1 - clip_low, 1 + clip_high)) A[n] log pi(n)

    Args, Raises: as `clipped_loss`; clip_low >= 1 switches the lower bound off, as the paper does.
    Returns:
        TokenLoss; its masks say where the weight is at a bound, whatever the sign of the advantage.
    Source: CISPO (MiniMax-M1), arXiv 2506.13585, eq. 4 and 5.
    """
    _check_bounds(clip_low, clip_high, None)
    ratio_N = (terms.logprobs_N - terms.old_logprobs_N).detach().exp()
    weight_N = ratio_N.clamp(1 - clip_low, 1 + clip_high)
    return TokenLoss(
        loss_N=-weight_N * terms.advantages_N * terms.logprobs_N,
        ratio_N=ratio_N,
        clipped_low_N=ratio_N < 1 - clip_low,
        clipped_high_N=ratio_N > 1 + clip_high,
        dual_clipped_N=torch.zeros_like(ratio_N, dtype=torch.bool),
    )


def _sequence_log_ratios(terms: TokenTerms, *, per_token: bool) -> Tensor:
    """Log-ratio of each token's output, or that divided by the output's number of tokens."""
    log_ratio_N = terms.logprobs_N - terms.old_logprobs_N
    log_ratio_S = sum_by_sequence(log_ratio_N, terms.sequence_N, terms.num_sequences)
    if per_token:
        ones_N = torch.ones_like(log_ratio_N)
        log_ratio_S = log_ratio_S / sum_by_sequence(ones_N, terms.sequence_N, terms.num_sequences).clamp(
            min=1
        )
    return log_ratio_S[terms.sequence_N]


def _clipped_surrogate(
    terms: TokenTerms, log_ratio_N: Tensor, clip_low: float, clip_high: float, dual_clip: float | None
) -> TokenLoss:
    """min(r A, clip(r) A), written as: the bound where it takes hold, r elsewhere.

    For A > 0 only the upper bound can be the minimum, for A < 0 only the lower one. The masks that come out
    of it are the clip fractions, and exp never sees a clipped log-ratio, whose overflow would make 0 * inf in
    the backward pass.
    """
    _check_bounds(clip_low, clip_high, dual_clip)
    ratio_N = log_ratio_N.detach().exp()
    better_N, worse_N = terms.advantages_N > 0, terms.advantages_N < 0
    high_N = better_N & (ratio_N > 1 + clip_high)
    low_N = worse_N & (ratio_N < 1 - clip_low)
    dual_N = worse_N & (ratio_N > dual_clip) if dual_clip is not None else torch.zeros_like(low_N)
    free_ratio_N = log_ratio_N.masked_fill(high_N | low_N | dual_N, 0.0).exp()
    used_N = free_ratio_N.masked_fill(high_N, 1 + clip_high).masked_fill(low_N, 1 - clip_low)
    if dual_clip is not None:
        used_N = used_N.masked_fill(dual_N, dual_clip)
    return TokenLoss(-used_N * terms.advantages_N, ratio_N, low_N, high_N, dual_N)


def _check_bounds(clip_low: float, clip_high: float, dual_clip: float | None) -> None:
    if not (clip_low > 0 and clip_high > 0):
        raise ValueError(f"clip_low is {clip_low} and clip_high is {clip_high}; both must be above 0")
    if dual_clip is not None and not dual_clip > 1:
        raise ValueError(f"dual_clip is {dual_clip}; it must be above 1, or None")
