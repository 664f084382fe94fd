"""Estimators of the KL divergence of the policy from its reference, from log-probs of sampled tokens.

Per token, per output (the whole output as one draw), and summed into a penalty on an output's reward. The
coefficient is the caller's. Called by training for the term in the loss, and by the rollout stage for the
term in the reward.

Shape legend: N trained tokens of a micro-batch, S sequences of it.
"""

from typing import Literal

import torch
from torch import Tensor

KlEstimator = Literal["k1", "k2", "k3"]


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor, estimator: KlEstimator) -> Tensor:
    """Estimate KL(policy || reference) from one draw of the policy, element by element.

        d = log pi_ref - log pi
        k1 = -d        k2 = d^2 / 2        k3 = exp(d) - d - 1

    k1 and k3 are unbiased, k2 and k3 are never negative. As a term of the loss, k1 has the wrong gradient:
    its mean is zero, it pulls the policy nowhere. k2 has the gradient of the KL itself; k3 has that of the
    reverse KL(ref || policy).

    Args:
        logprobs: any shape, of the policy; differentiable.
        ref_logprobs: same shape, of the reference policy; no gradient flows into it.
        estimator: which.
    Returns:
        Same shape.
    Raises:
        ValueError: an unknown estimator.
    Source: DeepSeekMath, eq. 4 and DeepSeek-R1, eq. 2 (k3); Schulman, "Approximating KL divergence" (2020).
    """
    log_ratio = ref_logprobs.detach() - logprobs
    match estimator:
        case "k1":
            return -log_ratio
        case "k2":
            return log_ratio.square() / 2
        case "k3":
            return torch.expm1(log_ratio) - log_ratio  # expm1: exp(d) - 1 loses every digit near d = 0
    raise ValueError(f"KL estimator is {estimator!r}; it must be k1, k2 or k3")


def sequence_kl_estimate(
    logprobs_N: Tensor,
    ref_logprobs_N: Tensor,
    estimator: KlEstimator,
    sequence_N: Tensor,
    num_sequences: int,
) -> Tensor:
    """Estimate KL once per output, from the log-prob of the whole output, and hand it to each of its tokens.

        KL[i] = k(sum_t log pi(o[i,t]), sum_t log pi_ref(o[i,t]))

    Args:
        logprobs_N, ref_logprobs_N: (N,).
        sequence_N: (N,) int64 in [0, num_sequences), the output of each token.
    Returns:
        (N,); equal within an output. Under the weights of `sample_mean` they sum to the mean over outputs.
    Source: DeepSeek-R1, eq. 2 as printed, where pi(o_i | q) is the probability of an output.
    """
    kl_S = kl_estimate(
        sum_by_sequence(logprobs_N, sequence_N, num_sequences),
        sum_by_sequence(ref_logprobs_N, sequence_N, num_sequences),
        estimator,
    )
    return kl_S[sequence_N]


def kl_reward_penalties(
    logprobs_N: Tensor,
    ref_logprobs_N: Tensor,
    estimator: KlEstimator,
    sequence_N: Tensor,
    num_sequences: int,
) -> Tensor:
    """Sum the per-token KL estimates of each output: what `coef` times is taken off its reward.

        penalty[i] = sum_t k(log pi(o[i,t]), log pi_ref(o[i,t]))

    Args: as in `sequence_kl_estimate`; the log-probs are those of the policy that sampled.
    Returns:
        (S,), no gradient.
    Source: DeepSeekMath, eq. 2, summed over the output because the advantage is one number per output.
    """
    return sum_by_sequence(
        kl_estimate(logprobs_N.detach(), ref_logprobs_N, estimator), sequence_N, num_sequences
    )


def sum_by_sequence(values_N: Tensor, sequence_N: Tensor, num_sequences: int) -> Tensor:
    """Add up the values of each sequence; differentiable.

    Args:
        values_N: (N,).
        sequence_N: (N,) int64 in [0, num_sequences).
    Returns:
        (S,); 0 for a sequence without tokens.
    """
    return values_N.new_zeros(num_sequences).index_add(0, sequence_N, values_N)
