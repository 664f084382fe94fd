"""The exact reverse KL divergence of a student from a teacher, token by token, without ever holding the logits of a batch.

Both heads are walked over in chunks of tokens, as in `logprobs`; the backward pass computes each chunk's logits anew. Does not
run trunks or sample. Called by training for on-policy distillation.

Shape legend: N tokens, D the student's hidden size, E the teacher's, V vocabulary, C tokens of one chunk, S of them
worked on at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dunwu.functional.head_chunks import HeadForm, HeadGradients, Workspace, check_head, chunk_rows, chunks


@dataclass(frozen=True)
class HeadInputs:
    """What an output layer makes logits of: softcap tanh((hidden W^T + bias) / softcap), or without the cap.

    Args:
        hidden_ND: (N, D) float32, bfloat16, float16 or float64, after the final norm.
        weight_VD: (V, D) same dtype.
        bias_V: (V,) same dtype.
        softcap: > 0, of Gemma 2's head.
    """

    hidden_ND: Tensor
    weight_VD: Tensor
    bias_V: Tensor | None = None
    softcap: float | None = None


def chunked_reverse_kl(
    student: HeadInputs, teacher: HeadInputs, *, chunk_tokens: int
) -> tuple[Tensor, Tensor]:
    """Return KL(student || teacher) of the distributions over the next token at each position, and the student's entropy.

        KL[n] = sum_v p[n, v] (log p[n, v] - log q[n, v]),    p = softmax(student's logits), q = softmax(teacher's)
        dKL[n] / dlogits[n, v] = p[n, v] (log p[n, v] - log q[n, v] - KL[n])

    The sum goes over the whole vocabulary, so no token needs to be drawn to estimate it. The matrix products run in the dtype of
    each one's inputs, everything else in float32 (float64 if the student's are float64). Tokens whose incoming gradient is
    exactly 0 are skipped in the backward pass.

    Args:
        student: N tokens.
        teacher: the same N tokens and V words, any hidden size.
        chunk_tokens: >= 1, tokens whose logits exist at one time, twice, with a vocabulary of up to REFERENCE_VOCAB.
    Returns:
        KL (N,), >= 0 but for rounding, differentiable once with respect to the student's hidden states, weight and bias, and
        entropy (N,), without gradient; both in nats, in float32, or float64 for a float64 student. The teacher gets no gradient.
    Raises:
        ValueError: shapes or dtypes that do not fit, softcap or chunk_tokens outside its range.
    Source: Agarwal et al., "On-Policy Distillation of Language Models" (GKD), arXiv 2306.13649, eq. 1 with the reverse KL.
    """
    for side in (student, teacher):
        check_head(side.hidden_ND, side.weight_VD, side.bias_V)
        if side.softcap is not None and not side.softcap > 0:
            raise ValueError(f"softcap is {side.softcap}; it must be above 0, or None")
    tokens, words = (
        (len(student.hidden_ND), len(teacher.hidden_ND)),
        (len(student.weight_VD), len(teacher.weight_VD)),
    )
    if len(set(tokens)) > 1 or len(set(words)) > 1:
        raise ValueError(
            f"student and teacher have {tokens} tokens and {words} words; both must have the same of each"
        )
    rows = chunk_rows(chunk_tokens, words[0])
    kl_N, entropy_N = _ChunkedReverseKl.apply(
        student.hidden_ND, student.weight_VD, student.bias_V, student, teacher, rows
    )
    return kl_N, entropy_N


class _Pair:
    """The workspaces of both heads."""

    def __init__(self, student: HeadInputs, teacher: HeadInputs, rows: int) -> None:
        self.student, self.teacher = (
            Workspace(
                side.hidden_ND.detach(),
                side.weight_VD.detach(),
                None if side.bias_V is None else side.bias_V.detach(),
                HeadForm(1.0, side.softcap, rows),
            )
            for side in (student, teacher)
        )

    def compare(
        self, student_CD: Tensor, teacher_CE: Tensor
    ) -> Iterator[tuple[slice, Tensor, Tensor, Tensor, Tensor]]:
        """Yield a few rows at a time: which, the student's logits, log-normalisers and probabilities, and log p - log q.

        log p - log q overwrites the teacher's logits.
        """
        sides = zip(
            self.student.distributions(student_CD), self.teacher.distributions(teacher_CE), strict=True
        )
        for (rows, logits_SV, probs_SV), (_, teacher_logits_SV, teacher_probs_SV) in sides:
            # the largest logit and the largest probability belong to one token: it gives the normaliser
            normaliser_S = logits_SV.amax(-1) - probs_SV.amax(-1).log()
            teacher_normaliser_S = teacher_logits_SV.amax(-1) - teacher_probs_SV.amax(-1).log()
            shift_S = normaliser_S - teacher_normaliser_S
            ratio_SV = teacher_logits_SV.neg_().add_(logits_SV).sub_(shift_S[:, None])
            yield rows, logits_SV, normaliser_S, probs_SV, ratio_SV


class _ChunkedReverseKl(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        student: HeadInputs,
        teacher: HeadInputs,
        rows: int,
    ) -> tuple[Tensor, Tensor]:
        pair = _Pair(student, teacher, rows)
        kl_N = hidden_ND.new_empty(len(hidden_ND), dtype=pair.student.wide)
        entropy_N = torch.empty_like(kl_N)
        for chunk in chunks(len(hidden_ND), rows):
            kl_C, entropy_C = kl_N[chunk], entropy_N[chunk]
            compared = pair.compare(hidden_ND[chunk], teacher.hidden_ND[chunk])
            for at, logits_SV, normaliser_S, probs_SV, ratio_SV in compared:
                kl_C[at] = ratio_SV.mul_(probs_SV).sum(-1)
                entropy_C[at] = normaliser_S - probs_SV.mul_(logits_SV).sum(-1)
        ctx.save_for_backward(
            hidden_ND, weight_VD, bias_V, teacher.hidden_ND, teacher.weight_VD, teacher.bias_V, kl_N
        )
        ctx.form = (student.softcap, teacher.softcap, rows)
        ctx.mark_non_differentiable(entropy_N)
        return kl_N, entropy_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, bias_V, teacher_hidden_NE, teacher_weight_VE, teacher_bias_V, kl_N = (
            ctx.saved_tensors
        )
        softcap, teacher_softcap, rows = ctx.form
        grad_N = grad_outputs[0]
        kept_K = grad_N.nonzero()[:, 0]
        pair = _Pair(
            HeadInputs(hidden_ND, weight_VD, bias_V, softcap),
            HeadInputs(teacher_hidden_NE, teacher_weight_VE, teacher_bias_V, teacher_softcap),
            rows,
        )
        gradients = HeadGradients(ctx.needs_input_grad[:3], hidden_ND, pair.student)
        for chunk in chunks(len(kept_K), rows):
            rows_C = kept_K[chunk]
            hidden_CD, kl_C = hidden_ND[rows_C], kl_N[rows_C]
            compared = pair.compare(hidden_CD, teacher_hidden_NE[rows_C])
            for at, logits_SV, _, probs_SV, ratio_SV in compared:
                grad_SV = probs_SV.mul_(ratio_SV.sub_(kl_C[at, None]))
                pair.student.product_CV[at] = pair.student.through_softcap(grad_SV, logits_SV)
            gradients.add(rows_C, hidden_CD, pair.student.product_CV[: len(rows_C)], grad_N[rows_C])
        return (*gradients.results(), None, None, None)
