"""The one place where a recipe's objective becomes a call into `functional`. Called by `rl_step` for every micro-batch.

To add a variant: one function in functional/policy_loss.py, one type in config/algorithm.py, one case here.
"""

from typing import Literal

from torch import Tensor

from dunwu.config.algorithm import Cispo, Dapo, DrGrpo, Grpo, Gspo, KlConfig, Objective, SequenceGrpo
from dunwu.functional.aggregation import BatchTotals, LossParts, aggregate_loss, token_weights
from dunwu.functional.kl import kl_estimate, sequence_kl_estimate
from dunwu.functional.policy_loss import (
    TokenLoss,
    TokenTerms,
    cispo_loss,
    clipped_loss,
    gspo_loss,
    sequence_grpo_loss,
)


def token_loss(objective: Objective, terms: TokenTerms) -> TokenLoss:
    """The policy loss of each token under the recipe's objective."""
    match objective:
        case Grpo() | Dapo() | DrGrpo():
            function = clipped_loss
        case SequenceGrpo():
            function = sequence_grpo_loss
        case Gspo():
            function = gspo_loss
        case Cispo(clip_low=low, clip_high=high):
            return cispo_loss(terms, clip_low=low, clip_high=high)
    return function(
        terms, clip_low=objective.clip_low, clip_high=objective.clip_high, dual_clip=objective.dual_clip
    )


def aggregation_mode(
    objective: Objective,
) -> Literal["sample_mean", "token_mean", "fixed_length", "sequence"]:
    """How token losses are averaged; objectives with one ratio per output leave no choice."""
    match objective:
        case SequenceGrpo() | Gspo():
            return "sample_mean"
        case _:
            return objective.aggregation


def micro_batch_loss(
    objective: Objective,
    kl: KlConfig,
    terms: TokenTerms,
    ref_logprobs_N: Tensor | None,
    lengths_S: Tensor,
    totals: BatchTotals,
    *,
    max_new_tokens: int,
) -> LossParts:
    """A micro-batch's share of the optimizer batch's loss.

    Args:
        ref_logprobs_N: None: no KL term in the loss.
        lengths_S: (S,) trained tokens of the micro-batch's sequences.
        totals: of the whole optimizer batch.
        max_new_tokens: the length that `fixed_length` divides by.
    """
    mode = aggregation_mode(objective)
    weights_N = token_weights(
        lengths_S,
        terms.sequence_N,
        mode,
        totals,
        fixed_length=max_new_tokens if mode == "fixed_length" else None,
        dtype=terms.logprobs_N.dtype,
    )
    kl_N = None
    if ref_logprobs_N is not None:
        if isinstance(objective, SequenceGrpo):
            kl_N = sequence_kl_estimate(
                terms.logprobs_N, ref_logprobs_N, kl.estimator, terms.sequence_N, terms.num_sequences
            )
        else:
            kl_N = kl_estimate(terms.logprobs_N, ref_logprobs_N, kl.estimator)
    return aggregate_loss(token_loss(objective, terms), weights_N, kl_N=kl_N, kl_coef=kl.coef)
