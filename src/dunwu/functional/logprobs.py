"""Log-probs of chosen tokens straight from hidden states, without ever holding the logits of a batch.

`chunked_logprobs` walks over the tokens in chunks: the logits of one chunk are computed, reduced and
overwritten. Its backward walks again, computes each chunk's logits anew (a third more head arithmetic, no
memory) and adds up the gradients of hidden states, weight and bias as it goes. Does not run the trunk, gather
rows, or know about packing. Called by `models.policy` for the trained, the reference and the old policy
alike.

Shape legend: N tokens, D hidden size, V vocabulary, C tokens of one chunk.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dunwu.functional.head_chunks import HeadForm, HeadGradients, Workspace, check_head, chunk_rows, chunks


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
        ValueError: shapes or dtypes that do not fit, temperature, softcap or chunk_tokens outside its range.
    """
    check_head(hidden_ND, weight_VD, bias_V)
    if targets_N.shape != hidden_ND.shape[:1]:
        raise ValueError(f"targets {tuple(targets_N.shape)} must be (N,) = ({len(hidden_ND)},)")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; log-probs to train on need one above 0")
    if softcap is not None and not softcap > 0:
        raise ValueError(f"softcap is {softcap}; it must be above 0, or None")
    head = HeadForm(temperature, softcap, chunk_rows(chunk_tokens, weight_VD.shape[0]))
    logprobs_N, entropy_N = _ChunkedLogprobs.apply(hidden_ND, weight_VD, bias_V, targets_N, head)
    return logprobs_N, entropy_N


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
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, targets_N)
        ctx.head = head
        workspace = Workspace(hidden_ND, weight_VD, bias_V, head)
        logprobs_N = workspace.logits_CV.new_empty(len(targets_N))
        entropy_N = torch.empty_like(logprobs_N)
        for chunk in chunks(len(targets_N), head.rows):
            logits_CV, probs_CV = workspace.distribution(hidden_ND[chunk])
            # the largest logit and the largest probability belong to one token: it gives the normaliser
            log_normaliser_C = logits_CV.amax(-1) - probs_CV.amax(-1).log_()
            target_logits_C = logits_CV.gather(1, targets_N[chunk, None])[:, 0]
            logprobs_N[chunk] = target_logits_C - log_normaliser_C
            entropy_N[chunk] = log_normaliser_C - probs_CV.mul_(logits_CV).sum(-1)
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, bias_V, targets_N = ctx.saved_tensors
        head: HeadForm = ctx.head
        grad_N = grad_outputs[0]
        kept_K = grad_N.nonzero()[:, 0]
        workspace = Workspace(hidden_ND, weight_VD, bias_V, head)
        gradients = HeadGradients(ctx.needs_input_grad[:3], hidden_ND, workspace)
        for chunk in chunks(len(kept_K), head.rows):
            rows_C = kept_K[chunk]
            hidden_CD = hidden_ND[rows_C]
            grad_logits_CV = _grad_logits(workspace, hidden_CD, targets_N[rows_C], grad_N[rows_C])
            gradients.add(rows_C, hidden_CD, grad_logits_CV)
        return (*gradients.results(), None, None)


def _grad_logits(workspace: Workspace, hidden_CD: Tensor, targets_C: Tensor, grad_C: Tensor) -> Tensor:
    """Gradient of sum_c grad[c] logprob[c] with respect to the head's raw logits."""
    logits_CV, grad_CV = workspace.distribution(hidden_CD)
    scale_C1 = (grad_C / workspace.head.temperature)[:, None]
    grad_CV.mul_(-scale_C1).scatter_add_(1, targets_C[:, None], scale_C1)
    return workspace.through_softcap(grad_CV, logits_CV)
