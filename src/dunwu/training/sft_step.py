"""One step of supervised fine-tuning: pack the samples, forward, loss, backward for each packed row, then one optimizer step.

    loss = - sum_n w[n] log p(target[n])

over the trained tokens of the whole batch, with the weights of `functional.aggregation`: the result does not depend on how the
batch is cut into rows. Called by the fine-tuning stage's loop.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from dunwu.config.training import BatchConfig
from dunwu.data.chat_tokens import TokenSample
from dunwu.data.packing import Packed
from dunwu.data.sft_packing import pack_samples
from dunwu.errors import NonFiniteError
from dunwu.functional.aggregation import BatchTotals, batch_totals, token_weights
from dunwu.models.policy import Policy
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.sft_evaluation import perplexity

Aggregation = Literal["token_mean", "sample_mean"]


@dataclass(frozen=True)
class _Batch:
    """Facts of the whole optimizer batch that every row needs."""

    step: int
    totals: BatchTotals
    aggregation: Aggregation
    chunk_tokens: int


@dataclass
class _Sums:
    """What is gathered over the rows of one step."""

    loss: float = 0.0
    nll: float = 0.0
    entropy: float = 0.0
    computed_tokens: int = 0


def update_on_samples(
    policy: Policy,
    optimizer: MasterAdamW,
    samples: Sequence[TokenSample],
    *,
    aggregation: Aggregation,
    batch: BatchConfig,
    step: int,
) -> dict[str, Any]:
    """Make step number `step` (from 1) on a batch of samples.

    Args:
        aggregation: `token_mean`: every trained token of the batch weighs the same; `sample_mean`: every sample does.
    Returns:
        loss, nll (nats per trained token, whatever the aggregation), perplexity (its exponential), entropy (nats per trained
        token), grad_norm, learning_rate, samples, trained_tokens, computed_tokens, rows.
    Raises:
        NonFiniteError: the loss or the gradient is not finite; nothing was changed.
    """
    totals = batch_totals(int(sample.trained.sum()) for sample in samples)
    rows = pack_samples(samples, batch.micro_batch_tokens, policy.device)
    facts = _Batch(step, totals, aggregation, batch.logprob_chunk_tokens)
    sums = _Sums()
    for packed in rows:
        members = [samples[index] for index in packed.sequence_indices]
        optimizer.backward(_row_loss(policy, packed, members, facts, sums))
    grad_norm = optimizer.step(step)
    nll = sums.nll / totals.num_tokens
    return {
        "loss": sums.loss,
        "nll": nll,
        "perplexity": perplexity(nll),
        "entropy": sums.entropy / totals.num_tokens,
        "grad_norm": grad_norm,
        "learning_rate": optimizer.learning_rate(step),
        "samples": len(samples),
        "trained_tokens": totals.num_tokens,
        "computed_tokens": sums.computed_tokens,
        "rows": len(rows),
    }


def _row_loss(
    policy: Policy, packed: Packed, members: Sequence[TokenSample], facts: _Batch, sums: _Sums
) -> torch.Tensor:
    """The loss of one packed row; adds to `sums`."""
    logprobs_N, entropy_N = policy.logprobs(packed.batch, temperature=1.0, chunk_tokens=facts.chunk_tokens)
    lengths_S = torch.tensor([int(sample.trained.sum()) for sample in members], device=policy.device)
    weights_N = token_weights(
        lengths_S, packed.batch.sequence_N, facts.aggregation, facts.totals, dtype=logprobs_N.dtype
    )
    loss = -(weights_N * logprobs_N).sum()
    value = loss.item()
    if not math.isfinite(value):
        raise NonFiniteError(
            f"the loss of step {facts.step} is {value} on the row that begins with {members[0].where}. The step was not "
            'made; the last checkpoint is intact. Lower optimizer.learning_rate, or use model.dtype = "float32"'
        )
    sums.loss += value
    sums.nll -= float(logprobs_N.detach().double().sum())
    sums.entropy += float(entropy_N.double().sum())
    sums.computed_tokens += len(packed.batch.token_ids_T)
    return loss
