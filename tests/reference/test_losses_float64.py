"""Every objective against plain Python loops over the papers' equations, in value and in gradient.

The reference below shares nothing with the implementation: lists of floats, `math`, one loop for each sum
sign. Its gradient is taken by central differences. Maximised objectives J are negated, so that all of it is a
loss.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dunwu.functional.aggregation import BatchTotals, aggregate_loss, token_weights
from dunwu.functional.kl import kl_estimate, sequence_kl_estimate
from dunwu.functional.policy_loss import (
    TokenLoss,
    TokenTerms,
    cispo_loss,
    clipped_loss,
    gspo_loss,
    sequence_grpo_loss,
)

LOW, HIGH, DUAL, BETA, FIXED_LENGTH = 0.2, 0.28, 1.5, 0.04, 16


@dataclass(frozen=True)
class Output:
    """One sampled output o_i: log-probs of its tokens under three policies, and its advantage."""

    policy: tuple[float, ...]
    old: tuple[float, ...]
    ref: tuple[float, ...]
    advantage: float


Outputs = Sequence[Output]


def make_outputs(seed: int, *, on_policy: bool = False) -> list[Output]:
    generator = torch.Generator().manual_seed(seed)

    def noise(num: int, size: float) -> list[float]:
        return (size * torch.randn(num, generator=generator, dtype=torch.float64)).tolist()

    outputs = []
    for length, advantage in zip((1, 3, 7, 4, 2, 5), (1.3, -0.7, 0.9, -1.8, 0.0, 0.3), strict=True):
        old = [-abs(x) - 0.1 for x in noise(length, 1.5)]
        policy = old if on_policy else [a + b for a, b in zip(old, noise(length, 0.5), strict=True)]
        ref = [a + b for a, b in zip(policy, noise(length, 0.4), strict=True)]
        outputs.append(Output(tuple(policy), tuple(old), tuple(ref), advantage))
    return outputs


# --- the equations


def surrogate(ratio: float, advantage: float, dual: float | None = None) -> float:
    """min(r A, clip(r, 1 - low, 1 + high) A), with dual clip max(that, c A) where A < 0."""
    clipped = max(1 - LOW, min(ratio, 1 + HIGH))
    value = min(ratio * advantage, clipped * advantage)
    if dual is not None and advantage < 0:
        value = max(value, dual * advantage)
    return value


def k3(policy: float, ref: float) -> float:
    return math.exp(ref) / math.exp(policy) - math.log(math.exp(ref) / math.exp(policy)) - 1


def token_values(output: Output, dual: float | None = None) -> list[float]:
    """The summand of DeepSeekMath eq. 3 at each token: clipped surrogate less beta times KL."""
    values = []
    for t in range(len(output.policy)):
        ratio = math.exp(output.policy[t]) / math.exp(output.old[t])
        values.append(surrogate(ratio, output.advantage, dual) - BETA * k3(output.policy[t], output.ref[t]))
    return values


def grpo(outputs: Outputs) -> float:
    """DeepSeekMath, eq. 3."""
    total = 0.0
    for output in outputs:
        total += sum(token_values(output)) / len(output.policy)
    return -total / len(outputs)


def grpo_dual_clip(outputs: Outputs) -> float:
    total = 0.0
    for output in outputs:
        total += sum(token_values(output, DUAL)) / len(output.policy)
    return -total / len(outputs)


def grpo_sum_over_tokens(outputs: Outputs) -> float:
    """DeepSeekMath, eq. 3 without 1 / |o_i|."""
    total = 0.0
    for output in outputs:
        total += sum(token_values(output))
    return -total / len(outputs)


def sequence_grpo(outputs: Outputs) -> float:
    """DeepSeek-R1, eq. 1 and 2: pi(o_i | q) is the probability of the whole output."""
    total = 0.0
    for output in outputs:
        policy, old, ref = math.prod(map(math.exp, output.policy)), 1.0, 1.0
        for t in range(len(output.old)):
            old *= math.exp(output.old[t])
            ref *= math.exp(output.ref[t])
        kl = ref / policy - math.log(ref / policy) - 1
        total += surrogate(policy / old, output.advantage) - BETA * kl
    return -total / len(outputs)


def dr_grpo(outputs: Outputs) -> float:
    """Dr. GRPO: token sums over a fixed length."""
    total = 0.0
    for output in outputs:
        total += sum(token_values(output)) / FIXED_LENGTH
    return -total / len(outputs)


def dapo(outputs: Outputs) -> float:
    """DAPO, eq. 8: one mean over the tokens of all outputs."""
    total, num_tokens = 0.0, 0
    for output in outputs:
        total += sum(token_values(output))
        num_tokens += len(output.policy)
    return -total / num_tokens


def gspo(outputs: Outputs) -> float:
    """GSPO, eq. 5 and 7, with the per-token KL term of GRPO."""
    total = 0.0
    for output in outputs:
        length = len(output.policy)
        likelihood_ratio = math.prod(
            math.exp(a) / math.exp(b) for a, b in zip(output.policy, output.old, strict=True)
        )
        kl = sum(k3(a, b) for a, b in zip(output.policy, output.ref, strict=True)) / length
        total += surrogate(likelihood_ratio ** (1 / length), output.advantage) - BETA * kl
    return -total / len(outputs)


def cispo(outputs: Outputs, frozen: Outputs | None = None) -> float:
    """MiniMax-M1, eq. 4: the weight is taken from `frozen`, which the derivative does not move."""
    total, num_tokens = 0.0, 0
    for output, constant in zip(outputs, frozen or outputs, strict=True):
        for t in range(len(output.policy)):
            ratio = math.exp(constant.policy[t]) / math.exp(constant.old[t])
            weight = max(1 - LOW, min(ratio, 1 + HIGH))
            total += weight * output.advantage * output.policy[t] - BETA * k3(output.policy[t], output.ref[t])
            num_tokens += 1
    return -total / num_tokens


# --- ours


@dataclass(frozen=True)
class Variant:
    """A reference, and our functions that should equal it."""

    reference: Callable[[Outputs], float]
    loss: Callable[..., TokenLoss]
    mode: str
    options: tuple[tuple[str, Any], ...] = ()
    sequence_kl: bool = False


VARIANTS = [
    Variant(grpo, clipped_loss, "sample_mean"),
    Variant(grpo_dual_clip, clipped_loss, "sample_mean", (("dual_clip", DUAL),)),
    Variant(grpo_sum_over_tokens, clipped_loss, "sequence"),
    Variant(sequence_grpo, sequence_grpo_loss, "sample_mean", sequence_kl=True),
    Variant(dr_grpo, clipped_loss, "fixed_length"),
    Variant(dapo, clipped_loss, "token_mean"),
    Variant(gspo, gspo_loss, "sample_mean"),
    Variant(cispo, cispo_loss, "token_mean"),
]


def ours(variant: Variant, outputs: Outputs) -> tuple[float, list[float]]:
    def flat(name: str) -> Tensor:
        return torch.tensor([x for output in outputs for x in getattr(output, name)], dtype=torch.float64)

    lengths_S = torch.tensor([len(output.policy) for output in outputs])
    sequence_N = torch.repeat_interleave(torch.arange(len(outputs)), lengths_S)
    advantages_S = torch.tensor([output.advantage for output in outputs], dtype=torch.float64)
    logprobs_N, ref_logprobs_N = flat("policy").requires_grad_(), flat("ref")
    terms = TokenTerms(logprobs_N, flat("old"), advantages_S[sequence_N], sequence_N, len(outputs))
    if variant.sequence_kl:
        kl_N = sequence_kl_estimate(logprobs_N, ref_logprobs_N, "k3", sequence_N, len(outputs))
    else:
        kl_N = kl_estimate(logprobs_N, ref_logprobs_N, "k3")
    weights_N = token_weights(
        lengths_S,
        sequence_N,
        variant.mode,  # type: ignore[arg-type]
        BatchTotals(len(outputs), len(sequence_N)),
        fixed_length=FIXED_LENGTH if variant.mode == "fixed_length" else None,
        dtype=torch.float64,
    )
    token_loss = variant.loss(terms, clip_low=LOW, clip_high=HIGH, **dict(variant.options))
    loss = aggregate_loss(token_loss, weights_N, kl_N=kl_N, kl_coef=BETA).loss
    (gradient,) = torch.autograd.grad(loss, logprobs_N)
    return loss.item(), gradient.tolist()


def central_differences(reference: Callable[[Outputs], float], outputs: Outputs) -> list[float]:
    step = 1e-5
    result = []
    for i, output in enumerate(outputs):
        for t in range(len(output.policy)):
            values = []
            for sign in (1, -1):
                moved = list(output.policy)
                moved[t] += sign * step
                changed = [*outputs[:i], replace(output, policy=tuple(moved)), *outputs[i + 1 :]]
                # only CISPO's weight is a constant
                values.append(cispo(changed, outputs) if reference is cispo else reference(changed))
            result.append((values[0] - values[1]) / (2 * step))
    return result


def distance_to_a_bound(outputs: Outputs) -> float:
    """How near any ratio, of a token or an output, lies to a bound, where the loss has a kink."""
    ratios = []
    for output in outputs:
        logs = [a - b for a, b in zip(output.policy, output.old, strict=True)]
        ratios += [math.exp(x) for x in (*logs, sum(logs), sum(logs) / len(logs))]
    return min(abs(ratio - bound) for ratio in ratios for bound in (1 - LOW, 1 + HIGH, DUAL))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.reference.__name__)
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_equals_the_paper_s_equation_in_value_and_gradient(variant: Variant, seed: int) -> None:
    outputs = make_outputs(seed)
    assert distance_to_a_bound(outputs) > 1e-4
    loss, gradient = ours(variant, outputs)
    assert loss == pytest.approx(variant.reference(outputs), rel=1e-12, abs=1e-14)
    assert gradient == pytest.approx(central_differences(variant.reference, outputs), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_the_data_tells_the_variants_apart(seed: int) -> None:
    losses = [round(ours(variant, make_outputs(seed))[0], 6) for variant in VARIANTS]
    assert len(set(losses)) == len(VARIANTS)


@pytest.mark.parametrize("loss", [clipped_loss, gspo_loss])
@pytest.mark.parametrize("seed", [4, 5])
def test_gradient_coefficient_on_policy(loss: Callable[..., TokenLoss], seed: int) -> None:
    """DeepSeekMath, eq. 21: with pi_old = pi the coefficient of grad log pi is A + beta (pi_ref / pi - 1).

    On policy GSPO's ratio is 1 as well, and its gradient is the same mean over tokens.
    """
    outputs = make_outputs(seed, on_policy=True)
    variant = Variant(grpo, loss, "sample_mean")
    _, gradient = ours(variant, outputs)
    expected = []
    for output in outputs:
        for policy, ref in zip(output.policy, output.ref, strict=True):
            coefficient = output.advantage + BETA * (math.exp(ref) / math.exp(policy) - 1)
            expected.append(-coefficient / len(output.policy) / len(outputs))
    assert gradient == pytest.approx(expected, rel=1e-12)


def test_gradient_coefficient_reaches_the_logits() -> None:
    """The same through a softmax: grad J = sum_t coefficient * (onehot - pi) / (G |o|)."""
    generator = torch.Generator().manual_seed(6)
    logits, ref_logits = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)
    targets, advantage = torch.tensor([0, 3, 3, 1]), 0.8
    logits.requires_grad_()
    logprobs_N = torch.log_softmax(logits, -1)[torch.arange(4), targets]
    ref_logprobs_N = torch.log_softmax(ref_logits, -1)[torch.arange(4), targets]
    terms = TokenTerms(
        logprobs_N, logprobs_N.detach(), torch.full((4,), advantage, dtype=torch.float64), targets * 0, 1
    )
    parts = aggregate_loss(
        clipped_loss(terms, clip_low=LOW, clip_high=HIGH),
        torch.full((4,), 0.25, dtype=torch.float64),
        kl_N=kl_estimate(logprobs_N, ref_logprobs_N, "k3"),
        kl_coef=BETA,
    )
    parts.loss.backward()
    probs = torch.softmax(logits.detach(), -1)
    coefficient = advantage + BETA * ((ref_logprobs_N - logprobs_N.detach()).exp() - 1)
    onehot = torch.nn.functional.one_hot(targets, 5)
    expected = -(coefficient / 4)[:, None] * (onehot - probs)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, expected, rtol=1e-12, atol=1e-15)
