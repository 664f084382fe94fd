"""Log-probs of chosen tokens straight from hidden states, without ever holding the logits of a batch.

`chunked_logprobs` walks over the tokens in chunks: the logits of one chunk are computed, reduced and
overwritten. Its backward walks again, computes each chunk's logits anew (all but the last one's, which still lie in the
buffer) and adds up the gradients of hidden states, weight and bias as it goes. Does not run the trunk, gather rows, or know
about packing. Called by `models.policy` for the trained, the reference and the old policy
alike. What is done to a chunk's logits is done in place by kernels in C (`logit_kernels`) where there are some for it, else by
torch, a few rows at a time.

Shape legend: N tokens, D hidden size, V vocabulary, C tokens of one chunk, S of them worked on at a time.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dunwu.functional.head_chunks import HeadForm, HeadGradients, Workspace, check_head, chunk_rows, chunks
from dunwu.functional.logit_kernels import ChunkFigures, log_prob_gradients_, log_probs_, logit_kernels


def chunked_logprobs(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    *,
    temperature: float,
    chunk_tokens: int,
    bias_V: Tensor | None = None,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the log-prob of each target and the entropy of the distribution that it was drawn from.

        z = hidden W^T + bias;    z = softcap tanh(z / softcap) if given;    x = z / temperature
        logprob[n] = x[n, target[n]] - log sum_v exp x[n, v]
        entropy[n] = -sum_v p[n, v] log p[n, v],    p = softmax(x)

    The matrix products run in the dtype of the inputs, everything else in float32 (float64 for float64
    inputs). Tokens whose incoming gradient is exactly 0 (clipped, or of advantage 0) are skipped in the
    backward pass.

    Args:
        hidden_ND: (N, D) float32, bfloat16, float16 or float64, after the final norm.
        weight_VD: (V, D) same dtype; may be the embedding.
        targets_N: (N,) int64 in [0, V).
        temperature: > 0; the sampler's own, so that ratios start at 1.
        chunk_tokens: >= 1, tokens whose logits exist at one time with a vocabulary of up to REFERENCE_VOCAB.
        bias_V: (V,) same dtype.
        softcap: > 0, of Gemma 2's head.
    Returns:
        logprobs (N,), differentiable once with respect to hidden_ND, weight_VD and bias_V, and entropy (N,),
        in nats, without gradient; float32, or float64 for float64 inputs. The weight's gradient is added up
        in that dtype too and rounded to the weight's own once.
    Raises:
        ValueError: shapes or dtypes that do not fit, temperature, softcap or chunk_tokens outside its range; on a CPU, a target
            outside its range.
    """
    check_head(hidden_ND, weight_VD, bias_V)
    _check_targets(targets_N, len(hidden_ND), len(weight_VD))
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; log-probs to train on need one above 0")
    if softcap is not None and not softcap > 0:
        raise ValueError(f"softcap is {softcap}; it must be above 0, or None")
    head = HeadForm(temperature, softcap, chunk_rows(chunk_tokens, weight_VD.shape[0]))
    logprobs_N, entropy_N = _ChunkedLogprobs.apply(hidden_ND, weight_VD, bias_V, targets_N, head)
    return logprobs_N, entropy_N


def _check_targets(targets_N: Tensor, num_tokens: int, vocab_size: int) -> None:
    if targets_N.shape != (num_tokens,) or targets_N.dtype != torch.int64:
        raise ValueError(
            f"targets {tuple(targets_N.shape)} {targets_N.dtype} must be (N,) = ({num_tokens},) torch.int64"
        )
    if num_tokens and targets_N.device.type == "cpu":  # elsewhere looking would mean waiting
        low, high = (int(bound) for bound in targets_N.aminmax())
        if low < 0 or high >= vocab_size:
            raise ValueError(f"targets go from {low} to {high}; they must lie in [0, {vocab_size})")


class _ChunkedLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        head: HeadForm,
    ) -> tuple[Tensor, Tensor]:
        workspace = Workspace(hidden_ND, weight_VD, bias_V, head)
        kernels = logit_kernels(workspace.product_CV) if head.softcap is None else None
        targets_N = targets_N.contiguous()
        logprobs_N = hidden_ND.new_empty(len(targets_N), dtype=workspace.wide)
        entropy_N = torch.empty_like(logprobs_N)
        normaliser_N = hidden_ND.new_empty(len(targets_N) if kernels else 0, dtype=torch.float64)
        learns = any(ctx.needs_input_grad[:3])
        # the last chunk's buffer is there anyway: what it holds need not be computed again
        last_mass_C = None
        for chunk in chunks(len(targets_N), head.rows):
            keep_grad = learns and chunk.stop == len(targets_N)
            hidden_CD, targets_C = hidden_ND[chunk], targets_N[chunk]
            if kernels:
                figures = ChunkFigures(logprobs_N[chunk], entropy_N[chunk], normaliser_N[chunk])
                logits_CV = workspace.logits(hidden_CD)
                last_mass_C = log_probs_(
                    kernels, logits_CV, targets_C, head.temperature, figures, overwrite=keep_grad
                )
            else:
                _reduce(workspace, hidden_CD, targets_C, logprobs_N[chunk], entropy_N[chunk], keep_grad)
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, targets_N)
        ctx.head, ctx.kernels, ctx.normaliser_N = head, kernels, normaliser_N
        ctx.last_chunk_CV = workspace.product_CV if learns else None
        ctx.last_mass_C = last_mass_C
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, bias_V, targets_N = ctx.saved_tensors
        head: HeadForm = ctx.head
        kernels: ctypes.CDLL | None = ctx.kernels
        scale_N = grad_outputs[0] / head.temperature
        product_CV, ctx.last_chunk_CV = ctx.last_chunk_CV, None
        workspace = Workspace(hidden_ND, weight_VD, bias_V, head, product_CV)
        gradients = HeadGradients(ctx.needs_input_grad[:3], hidden_ND, workspace)
        kept_K = scale_N.nonzero()[:, 0]
        if product_CV is not None and len(scale_N):
            begin = max(0, len(scale_N) - head.rows)
            rows_C = kept_K[kept_K >= begin]
            kept_K = kept_K[kept_K < begin]
            whole = len(rows_C) == len(scale_N) - begin
            grad_CV = product_CV[: len(rows_C)] if whole else product_CV[rows_C - begin]
            scale_C = scale_N[rows_C]
            if ctx.last_mass_C is not None:
                scale_C /= ctx.last_mass_C[rows_C - begin]
            if len(rows_C):
                gradients.add(rows_C, hidden_ND[rows_C], grad_CV, scale_C)
        for chunk in chunks(len(kept_K), head.rows):
            rows_C = kept_K[chunk]
            hidden_CD, targets_C = hidden_ND[rows_C], targets_N[rows_C]
            if kernels:
                logits_CV = workspace.logits(hidden_CD)
                log_prob_gradients_(kernels, logits_CV, targets_C, head.temperature, ctx.normaliser_N[rows_C])
            else:
                for rows, logits_SV, probs_SV in workspace.distributions(hidden_CD):
                    _store_grad(workspace, rows, logits_SV, probs_SV, targets_C[rows])
            gradients.add(rows_C, hidden_CD, workspace.product_CV[: len(rows_C)], scale_N[rows_C])
        return (*gradients.results(), None, None)


def _reduce(
    workspace: Workspace,
    hidden_CD: Tensor,
    targets_C: Tensor,
    logprobs_C: Tensor,
    entropy_C: Tensor,
    keep_grad: bool,
) -> None:
    """Write a chunk's log-probs and entropy and, with `keep_grad`, its gradient over its logits."""
    for rows, logits_SV, probs_SV in workspace.distributions(hidden_CD):
        # the largest logit and the largest probability belong to one token: it gives the normaliser
        log_normaliser_S = logits_SV.amax(-1) - probs_SV.amax(-1).log_()
        logprobs_C[rows] = logits_SV.gather(1, targets_C[rows, None])[:, 0] - log_normaliser_S
        entropy_C[rows] = log_normaliser_S - (probs_SV * logits_SV).sum(-1)
        if keep_grad:
            _store_grad(workspace, rows, logits_SV, probs_SV, targets_C[rows])


def _store_grad(
    workspace: Workspace, rows: slice, logits_SV: Tensor, probs_SV: Tensor, targets_S: Tensor
) -> None:
    """Put temperature * d logprob / d raw logits in the place of these rows' logits; overwrites both tensors."""
    grad_SV = probs_SV.neg_().scatter_add_(1, targets_S[:, None], torch.ones_like(probs_SV[:, :1]))
    workspace.product_CV[rows] = workspace.through_softcap(grad_SV, logits_SV)
