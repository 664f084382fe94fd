"""One update of on-policy distillation: pack the student's completions, compare both models at every token, one optimizer step.

    loss = sum_n w[n] KL(student || teacher at token n)

with the weights of `functional.aggregation`: the result does not depend on how the mini-batch is cut into rows. Which tokens were
sampled is taken as given; no gradient goes through the sampling. Called by the on-policy distillation stage.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dunwu.config.on_policy_distill import OnPolicyDistillStage
from dunwu.data.packing import PackSequence, pack
from dunwu.errors import NonFiniteError
from dunwu.functional.aggregation import batch_totals, token_weights
from dunwu.functional.reverse_kl import HeadInputs, chunked_reverse_kl
from dunwu.models.memory import trim_heap
from dunwu.models.policy import Policy
from dunwu.records import PackedBatch
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.sequences import TrainSequence


@dataclass
class _Sums:
    """What is gathered over the rows of one step."""

    loss: float = 0.0
    reverse_kl: float = 0.0
    largest: float = 0.0
    entropy: float = 0.0
    computed_tokens: int = 0


def update_student(
    student: Policy,
    teacher: Policy,
    optimizer: MasterAdamW,
    sequences: Sequence[TrainSequence],
    config: OnPolicyDistillStage,
    step: int,
) -> dict[str, float]:
    """Make update number `step` (from 1) on one mini-batch.

    Returns:
        loss, reverse_kl (nats per token, whatever the aggregation) and reverse_kl_max, entropy (the student's, nats per token),
        grad_norm, learning_rate, trained_sequences, trained_tokens, computed_tokens (of each model), rows.
    Raises:
        NonFiniteError: the loss or the gradient is not finite; nothing was changed.
    """
    totals = batch_totals(len(s.completion_ids) for s in sequences)
    rows = pack(
        [PackSequence(s.prompt_ids, s.completion_ids) for s in sequences],
        config.batch.micro_batch_tokens,
        student.device,
    )
    sums = _Sums()
    trim_heap(student.device)  # what sampling left
    for row in rows:
        kl_N, entropy_N = reverse_kl(
            student, teacher, row.batch, chunk_tokens=config.batch.logprob_chunk_tokens
        )
        lengths_S = torch.tensor(
            [len(sequences[i].completion_ids) for i in row.sequence_indices], device=student.device
        )
        weights_N = token_weights(
            lengths_S, row.batch.sequence_N, config.aggregation, totals, dtype=kl_N.dtype
        )
        loss = (weights_N * kl_N).sum()
        value = loss.item()
        if not math.isfinite(value):
            raise NonFiniteError(
                f"the loss of step {step} is {value}: the divergence of student and teacher is not finite. The step was not "
                'made; the last checkpoint is intact. Lower optimizer.learning_rate, or use dtype = "float32" for both models'
            )
        optimizer.backward(loss)
        sums.loss += value
        sums.reverse_kl += float(kl_N.detach().double().sum())
        sums.largest = max(sums.largest, float(kl_N.detach().max()))
        sums.entropy += float(entropy_N.double().sum())
        sums.computed_tokens += len(row.batch.token_ids_T)
    grad_norm = optimizer.step(step)
    return {
        "loss": sums.loss,
        "reverse_kl": sums.reverse_kl / totals.num_tokens,
        "reverse_kl_max": sums.largest,
        "entropy": sums.entropy / totals.num_tokens,
        "grad_norm": grad_norm,
        "learning_rate": optimizer.learning_rate(step),
        "trained_sequences": totals.num_sequences,
        "trained_tokens": totals.num_tokens,
        "computed_tokens": sums.computed_tokens,
        "rows": len(rows),
    }


def reverse_kl(
    student: Policy, teacher: Policy, batch: PackedBatch, *, chunk_tokens: int
) -> tuple[Tensor, Tensor]:
    """Compare two models with one vocabulary at every target of a packed batch.

    Where one model has more rows of embeddings than the other (padding behind the vocabulary), both distributions are those over
    the rows that both have.

    Args:
        batch: of token ids that both models know, on the student's device.
        chunk_tokens: targets whose logits exist at one time; changes memory, not the result.
    Returns:
        KL(student || teacher) (N,), differentiable in the student alone, and the student's entropies (N,), in nats.
    """
    num_words = min(student.num_tokens, teacher.num_tokens)
    with torch.no_grad():
        theirs = _head_inputs(teacher, batch, num_words)
    return chunked_reverse_kl(_head_inputs(student, batch, num_words), theirs, chunk_tokens=chunk_tokens)


def _head_inputs(policy: Policy, batch: PackedBatch, num_words: int) -> HeadInputs:
    hidden_ND = policy.hidden_states(batch).index_select(0, batch.source_N)
    head = policy.head
    return HeadInputs(
        hidden_ND if head.scale == 1 else hidden_ND * head.scale,
        head.weight_VD if len(head.weight_VD) == num_words else head.weight_VD[:num_words],
        head.bias_V if head.bias_V is None else head.bias_V[:num_words],
        head.softcap,
    )
