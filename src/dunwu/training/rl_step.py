"""One policy update: pack the mini-batch, forward, loss, backward for each packed row, then one optimizer step.

The result does not depend on how the mini-batch is cut into rows. Called by the RL loop.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dunwu.config.stage import RlConfig
from dunwu.data.packing import PackSequence, pack
from dunwu.errors import NonFiniteError
from dunwu.functional.aggregation import BatchTotals, LossParts, batch_totals, loss_statistics
from dunwu.functional.phases import phase
from dunwu.functional.policy_loss import TokenTerms
from dunwu.models.memory import trim_heap
from dunwu.models.policy import Policy
from dunwu.records import PackedBatch
from dunwu.training.objective import micro_batch_loss
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.sequences import TrainSequence


@dataclass
class _Sums:
    """What is gathered over the rows of one step, weighted by trained tokens."""

    parts: list[LossParts] = field(default_factory=list)
    entropy: float = 0.0
    difference: float = 0.0
    max_difference: float = 0.0
    rows: int = 0
    computed_tokens: int = 0


def update_policy(
    policy: Policy,
    reference: Policy | None,
    optimizer: MasterAdamW,
    sequences: Sequence[TrainSequence],
    config: RlConfig,
    step: int,
) -> dict[str, float]:
    """Make policy update number `step` (from 1) on one mini-batch.

    Returns:
        loss, policy_loss, kl (mean k-estimate per token), entropy (nats per token), clip fractions, ratio_mean and ratio_max,
        grad_norm, learning_rate, logprob_difference_mean / _max (trainer against sampler, nats per token; large values are
        drift of the policy since sampling, or a mismatch of engine and trainer), trained_tokens, computed_tokens, rows.
    Raises:
        NonFiniteError: a log-prob, the loss or the gradient is not finite; nothing was changed.
    """
    totals = batch_totals(len(s.completion_ids) for s in sequences)
    packed = pack(
        [PackSequence(s.prompt_ids, s.completion_ids) for s in sequences],
        config.batch.micro_batch_tokens,
        policy.device,
    )
    sums = _Sums()
    trim_heap(policy.device)  # what sampling left
    for row in packed:
        members = [sequences[i] for i in row.sequence_indices]
        optimizer.backward(_row_loss(policy, reference, row.batch, members, totals, config, sums, step))
    grad_norm = optimizer.step(step)
    statistics = loss_statistics(sums.parts)
    tokens = totals.num_tokens
    figures = {
        "loss": statistics.loss,
        "policy_loss": statistics.policy_loss,
        "entropy": sums.entropy / tokens,
        "clip_low_frac": statistics.clip_low_frac,
        "clip_high_frac": statistics.clip_high_frac,
        "dual_clip_frac": statistics.dual_clip_frac,
        "ratio_mean": statistics.ratio_mean,
        "ratio_max": statistics.ratio_max,
        "grad_norm": grad_norm,
        "learning_rate": optimizer.learning_rate(step),
        "logprob_difference_mean": sums.difference / tokens,
        "logprob_difference_max": sums.max_difference,
        "trained_sequences": totals.num_sequences,
        "trained_tokens": tokens,
        "computed_tokens": sums.computed_tokens,
        "rows": sums.rows,
    }
    if reference is not None and config.kl.placement == "loss":
        figures["kl"] = statistics.kl_mean
    return figures


def _row_loss(
    policy: Policy,
    reference: Policy | None,
    batch: PackedBatch,
    members: Sequence[TrainSequence],
    totals: BatchTotals,
    config: RlConfig,
    sums: _Sums,
    step: int,
) -> Tensor:
    """The loss of one packed row; adds to `sums`."""
    old_logprobs_N = per_token([s.sampling_logprobs for s in members], policy.device)
    lengths_S = torch.tensor([len(s.completion_ids) for s in members], device=policy.device)
    advantages_S = torch.tensor([s.advantage for s in members], dtype=torch.float32, device=policy.device)
    ref_logprobs_N = None
    if reference is not None and config.kl.placement == "loss":
        ref_logprobs_N = completion_logprobs(reference, batch, config)
    logprobs_N, entropy_N = policy.logprobs(
        batch, temperature=config.sampling.temperature, chunk_tokens=config.batch.logprob_chunk_tokens
    )
    terms = TokenTerms(
        logprobs_N=logprobs_N,
        old_logprobs_N=old_logprobs_N,
        advantages_N=advantages_S[batch.sequence_N],
        sequence_N=batch.sequence_N,
        num_sequences=batch.num_sequences,
    )
    parts = micro_batch_loss(
        config.objective,
        config.kl,
        terms,
        ref_logprobs_N,
        lengths_S,
        totals,
        max_new_tokens=config.sampling.max_new_tokens,
    )
    if not math.isfinite(parts.loss.item()):
        raise NonFiniteError(_non_finite_message(step, sums.rows, parts, logprobs_N, ref_logprobs_N))
    difference_N = (logprobs_N.detach() - old_logprobs_N).abs()
    sums.parts.append(parts)
    sums.entropy += float(entropy_N.double().sum())
    sums.difference += float(difference_N.double().sum())
    sums.max_difference = max(sums.max_difference, float(difference_N.max()))
    sums.rows += 1
    sums.computed_tokens += len(batch.token_ids_T)
    return parts.loss


@phase("reference")
@torch.no_grad()
def completion_logprobs(policy: Policy, batch: PackedBatch, config: RlConfig) -> Tensor:
    """(N,) log-probs of the batch's completions under a policy that is not trained here, at the sampling temperature."""
    logprobs_N, _ = policy.logprobs(
        batch, temperature=config.sampling.temperature, chunk_tokens=config.batch.logprob_chunk_tokens
    )
    return logprobs_N


def per_token(values: Sequence[Sequence[float]], device: torch.device) -> Tensor:
    """One flat float32 tensor (N,) of the sequences' values, end to end."""
    return torch.tensor(
        [v for of_sequence in values for v in of_sequence], dtype=torch.float32, device=device
    )


def _non_finite_message(
    step: int, row: int, parts: LossParts, logprobs_N: Tensor, ref_logprobs_N: Tensor | None
) -> str:
    causes = []
    if not torch.isfinite(logprobs_N).all():
        causes.append("the policy's log-probs are not finite (its weights have blown up)")
    if ref_logprobs_N is not None and not torch.isfinite(ref_logprobs_N).all():
        causes.append("the reference's log-probs are not finite")
    if not torch.isfinite(parts.token_loss.ratio_N).all():
        causes.append("an importance ratio overflowed (the policy is far from the one that sampled)")
    return (
        f"the loss of step {step}, packed row {row}, is {parts.loss.item()}: {'; '.join(causes) or 'overflow in the sum'}. "
        "The step was not made; the last checkpoint is intact. Lower optimizer.learning_rate, or use "
        'model.dtype = "float32"'
    )
