"""Loss and gradient of an optimizer batch do not depend on how it is cut into micro-batches, packed or
ordered.

The policy here is as small as one can be that still has every part in question: token and position
embeddings, a tanh, a head through `chunked_logprobs`. It has no attention, so a packed row needs no mask;
attention is tested with the models.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from dunwu.data.packing import PackSequence, pack
from dunwu.functional.aggregation import (
    LossParts,
    aggregate_loss,
    batch_totals,
    loss_statistics,
    token_weights,
)
from dunwu.functional.kl import kl_estimate, sequence_kl_estimate
from dunwu.functional.logprobs import chunked_logprobs
from dunwu.functional.policy_loss import (
    TokenLoss,
    TokenTerms,
    cispo_loss,
    clipped_loss,
    gspo_loss,
    sequence_grpo_loss,
)

VOCAB, WIDTH, LONGEST = 23, 6, 16


@dataclass(frozen=True)
class Trained:
    """A sequence to train on, with what is known about its tokens."""

    pack: PackSequence
    old_logprobs: tuple[float, ...]
    ref_logprobs: tuple[float, ...]
    advantage: float


VARIANTS: dict[str, tuple[Callable[..., TokenLoss], str, dict[str, Any]]] = {
    "grpo": (clipped_loss, "sample_mean", {}),
    "grpo_dual_clip": (clipped_loss, "sample_mean", {"dual_clip": 1.5}),
    "grpo_sequence": (clipped_loss, "sequence", {}),
    "sequence_grpo": (sequence_grpo_loss, "sample_mean", {}),
    "dr_grpo": (clipped_loss, "fixed_length", {}),
    "dapo": (clipped_loss, "token_mean", {}),
    "gspo": (gspo_loss, "sample_mean", {}),
    "cispo": (cispo_loss, "token_mean", {}),
}


def make_weights() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(VOCAB, WIDTH), (2 * LONGEST, WIDTH), (VOCAB, WIDTH)]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes
    ]


def make_sequences() -> list[Trained]:
    draw = random.Random(2)
    result = []
    for _ in range(4):
        prompt = tuple(draw.randrange(VOCAB) for _ in range(draw.randint(1, LONGEST)))
        for _ in range(draw.randint(1, 5)):
            completion = tuple(draw.randrange(VOCAB) for _ in range(draw.randint(1, LONGEST)))
            old = tuple(draw.uniform(-4.5, -2) for _ in completion)
            ref = tuple(draw.uniform(-4.5, -2) for _ in completion)
            result.append(
                Trained(PackSequence(prompt, completion), old, ref, draw.choice([-1.5, -0.5, 0.0, 1.0]))
            )
    return result


def cut(num: int, draw: random.Random) -> list[list[int]]:
    """A random order of the sequences, in random micro-batches."""
    order = draw.sample(range(num), num)
    ends = sorted({*draw.sample(range(1, num), draw.randint(0, num - 1)), num})
    return [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def train(
    variant: str,
    sequences: Sequence[Trained],
    micro_batches: Sequence[Sequence[int]],
    *,
    max_tokens: int = 10_000,
    chunk_tokens: int = 10_000,
) -> tuple[list[LossParts], list[Tensor]]:
    weights = make_weights()
    totals = batch_totals(len(sequence.pack.completion_ids) for sequence in sequences)
    parts = []
    for members in micro_batches:
        for packed in pack([sequences[index].pack for index in members], max_tokens):
            row = [sequences[members[place]] for place in packed.sequence_indices]
            tokens_T, positions_T = packed.batch.token_ids_T, packed.batch.position_ids_T
            hidden_TD = torch.tanh(weights[0][tokens_T] + weights[1][positions_T])
            logprobs_N, _ = chunked_logprobs(
                hidden_TD[packed.batch.source_N],
                weights[2],
                packed.batch.target_ids_N,
                temperature=0.8,
                chunk_tokens=chunk_tokens,
            )
            part = row_loss(variant, logprobs_N, row, packed.batch.sequence_N, totals)
            part.loss.backward()
            parts.append(part)
    return parts, [weight.grad for weight in weights if weight.grad is not None]


def row_loss(
    variant: str, logprobs_N: Tensor, row: Sequence[Trained], sequence_N: Tensor, totals: Any
) -> LossParts:
    function, mode, options = VARIANTS[variant]
    lengths_S = torch.tensor([len(sequence.old_logprobs) for sequence in row])

    def flat(name: str) -> Tensor:
        return torch.tensor([x for sequence in row for x in getattr(sequence, name)], dtype=torch.float64)

    advantages_S = torch.tensor([sequence.advantage for sequence in row], dtype=torch.float64)
    terms = TokenTerms(logprobs_N, flat("old_logprobs"), advantages_S[sequence_N], sequence_N, len(row))
    if variant == "sequence_grpo":
        kl_N = sequence_kl_estimate(logprobs_N, flat("ref_logprobs"), "k2", sequence_N, len(row))
    else:
        kl_N = kl_estimate(logprobs_N, flat("ref_logprobs"), "k3")
    weights_N = token_weights(
        lengths_S,
        sequence_N,
        mode,  # type: ignore[arg-type]
        totals,
        fixed_length=LONGEST if mode == "fixed_length" else None,
        dtype=torch.float64,
    )
    return aggregate_loss(
        function(terms, clip_low=0.6, clip_high=0.6, **options), weights_N, kl_N=kl_N, kl_coef=0.05
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_cut_gives_the_same_loss_and_gradient(variant: str) -> None:
    sequences = make_sequences()
    whole, expected = train(variant, sequences, [list(range(len(sequences)))])
    assert len(whole) == 1
    for seed in range(12):
        draw = random.Random(seed)
        parts, gradients = train(
            variant,
            sequences,
            cut(len(sequences), draw),
            max_tokens=draw.randint(2 * LONGEST - 1, 120),
            chunk_tokens=draw.choice([1, 5, 1000]),
        )
        loss = sum(part.loss.item() for part in parts)
        assert loss == pytest.approx(whole[0].loss.item(), rel=1e-12, abs=1e-12)
        for ours, reference in zip(gradients, expected, strict=True):
            torch.testing.assert_close(ours, reference, rtol=1e-11, atol=1e-12)


def test_the_figures_of_the_step_do_not_depend_on_the_cut_either() -> None:
    sequences = make_sequences()
    whole = loss_statistics(train("grpo_dual_clip", sequences, [list(range(len(sequences)))])[0])
    parts = loss_statistics(train("grpo_dual_clip", sequences, cut(len(sequences), random.Random(3)))[0])
    assert vars(parts) == pytest.approx(vars(whole), rel=1e-12)
    assert min(whole.clip_low_frac, whole.clip_high_frac, whole.dual_clip_frac) > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_ranks_whose_gradients_are_summed_equal_one_rank(variant: str) -> None:
    sequences = make_sequences()
    _, expected = train(variant, sequences, [list(range(len(sequences)))])
    ranks = [list(range(0, len(sequences), 2)), list(range(1, len(sequences), 2))]
    gradients = [train(variant, sequences, [rank])[1] for rank in ranks]
    for one, other, reference in zip(*gradients, expected, strict=True):
        torch.testing.assert_close(one + other, reference, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_sequence_left_out_by_name_is_as_if_never_sampled(variant: str) -> None:
    sequences = make_sequences()
    kept = sequences[:-3]
    part, gradients = train(variant, kept, [list(range(len(kept)))])
    with_rest, _ = train(variant, sequences, [list(range(len(sequences)))])
    again, same = train(variant, list(reversed(kept)), [list(range(len(kept)))])
    assert part[0].loss.item() != pytest.approx(with_rest[0].loss.item(), rel=1e-6)
    assert again[0].loss.item() == pytest.approx(part[0].loss.item(), rel=1e-12)
    for ours, reference in zip(same, gradients, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-11, atol=1e-12)
