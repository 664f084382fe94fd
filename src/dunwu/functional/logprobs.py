"""Log-probs of chosen tokens straight from hidden states, without ever holding the logits of a batch.

`chunked_logprobs` walks over the tokens in chunks: the logits of one chunk are computed, reduced and
overwritten. Its backward walks again, computes each chunk's logits anew (a third more head arithmetic, no
memory) and adds up the gradients of hidden states, weight and bias as it goes. Does not run the trunk, gather
rows, or know about packing. Called by `models.policy` for the trained, the reference and the old policy
alike.

Shape legend: N tokens, D hidden size, V vocabulary, C tokens of one chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

REFERENCE_VOCAB = 8192
"""A chunk of a larger vocabulary has proportionally fewer tokens, so that its logits need the same memory."""
_WEIGHT_BLOCK_ROWS = 4096


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
    _check_inputs(hidden_ND, weight_VD, targets_N, bias_V)
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; log-probs to train on need one above 0")
    if softcap is not None and not softcap > 0:
        raise ValueError(f"softcap is {softcap}; it must be above 0, or None")
    head = _Head(temperature, softcap, chunk_rows(chunk_tokens, weight_VD.shape[0]))
    logprobs_N, entropy_N = _ChunkedLogprobs.apply(hidden_ND, weight_VD, bias_V, targets_N, head)
    return logprobs_N, entropy_N


def chunk_rows(chunk_tokens: int, vocab_size: int) -> int:
    """Return how many tokens' logits are computed at a time, so that a chunk's memory does not grow with the
    vocabulary.

        max(1, chunk_tokens * min(1, REFERENCE_VOCAB / vocab_size))

    Raises:
        ValueError: chunk_tokens < 1.
    """
    if chunk_tokens < 1:
        raise ValueError(f"chunk_tokens is {chunk_tokens}; it must be at least 1")
    return max(1, min(chunk_tokens, chunk_tokens * REFERENCE_VOCAB // vocab_size))


@dataclass(frozen=True)
class _Head:
    """How logits become a distribution, and how many tokens are done at a time."""

    temperature: float
    softcap: float | None
    rows: int


class _ChunkedLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor, head: _Head
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, targets_N)
        ctx.head = head
        workspace = _Workspace(hidden_ND, weight_VD, bias_V, head)
        logprobs_N = workspace.logits_CV.new_empty(len(targets_N))
        entropy_N = torch.empty_like(logprobs_N)
        for chunk in _chunks(len(targets_N), head.rows):
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
        head: _Head = ctx.head
        grad_N = grad_outputs[0]
        kept_K = grad_N.nonzero()[:, 0]
        workspace = _Workspace(hidden_ND, weight_VD, bias_V, head)
        wide = workspace.logits_CV.dtype
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        grad_hidden_ND = torch.zeros_like(hidden_ND) if needs_hidden else None
        grad_weight_VD = torch.zeros_like(weight_VD, dtype=wide) if needs_weight else None
        grad_bias_V = weight_VD.new_zeros(len(weight_VD), dtype=wide) if needs_bias else None
        for chunk in _chunks(len(kept_K), head.rows):
            rows_C = kept_K[chunk]
            hidden_CD = hidden_ND[rows_C]
            grad_logits_CV = workspace.grad_logits(hidden_CD, targets_N[rows_C], grad_N[rows_C])
            if grad_bias_V is not None:
                grad_bias_V += grad_logits_CV.sum(0)
            narrow_CV = workspace.narrow(grad_logits_CV)
            if grad_hidden_ND is not None:
                grad_hidden_ND[rows_C] = narrow_CV @ weight_VD
            if grad_weight_VD is not None:
                _add_product(grad_weight_VD, narrow_CV, hidden_CD)
        return (
            grad_hidden_ND,
            None if grad_weight_VD is None else grad_weight_VD.to(weight_VD.dtype),
            None if grad_bias_V is None else grad_bias_V.to(weight_VD.dtype),
            None,
            None,
        )


class _Workspace:
    """Two buffers of one chunk's logits (three for 16-bit inputs), used again for every chunk."""

    def __init__(self, hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, head: _Head) -> None:
        self.weight_VD, self.bias_V, self.head = weight_VD, bias_V, head
        wide = torch.float64 if hidden_ND.dtype == torch.float64 else torch.float32
        shape = (min(head.rows, len(hidden_ND)), weight_VD.shape[0])
        self.logits_CV = torch.empty(shape, dtype=wide, device=hidden_ND.device)
        self.probs_CV = torch.empty_like(self.logits_CV)
        # matrix products write here; the same memory when the inputs are already of the wide dtype
        same = hidden_ND.dtype == wide
        self.product_CV = self.logits_CV if same else self.logits_CV.new_empty(shape, dtype=hidden_ND.dtype)

    def distribution(self, hidden_CD: Tensor) -> tuple[Tensor, Tensor]:
        """Logits after softcap and temperature, and their softmax; both valid until the next call."""
        num = len(hidden_CD)
        logits_CV, probs_CV, product_CV = self.logits_CV[:num], self.probs_CV[:num], self.product_CV[:num]
        if self.bias_V is None:
            torch.mm(hidden_CD, self.weight_VD.T, out=product_CV)
        else:
            torch.addmm(self.bias_V, hidden_CD, self.weight_VD.T, out=product_CV)
        if product_CV.dtype != logits_CV.dtype:
            logits_CV.copy_(product_CV)
        if self.head.softcap is not None:
            logits_CV.div_(self.head.softcap).tanh_().mul_(self.head.softcap)
        if self.head.temperature != 1:
            logits_CV.div_(self.head.temperature)
        return logits_CV, torch.softmax(logits_CV, -1, out=probs_CV)

    def grad_logits(self, hidden_CD: Tensor, targets_C: Tensor, grad_C: Tensor) -> Tensor:
        """Gradient of sum_c grad[c] logprob[c] with respect to the head's raw logits."""
        logits_CV, grad_CV = self.distribution(hidden_CD)
        scale_C1 = (grad_C / self.head.temperature)[:, None]
        grad_CV.mul_(-scale_C1).scatter_add_(1, targets_C[:, None], scale_C1)
        if self.head.softcap is not None:
            tanh_CV = logits_CV.mul_(self.head.temperature / self.head.softcap)
            grad_CV.mul_(tanh_CV.square_().neg_().add_(1))
        return grad_CV

    def narrow(self, grad_logits_CV: Tensor) -> Tensor:
        """The same in the dtype of the inputs, for the matrix products."""
        if self.product_CV is self.logits_CV:
            return grad_logits_CV
        return self.product_CV[: len(grad_logits_CV)].copy_(grad_logits_CV)


def _add_product(sum_VD: Tensor, left_CV: Tensor, right_CD: Tensor) -> None:
    """sum += left^T right in the dtype of the sum; products of a narrower dtype are added block by block."""
    if left_CV.dtype == sum_VD.dtype:
        sum_VD.addmm_(left_CV.T, right_CD)
        return
    for block in _chunks(len(sum_VD), _WEIGHT_BLOCK_ROWS):
        sum_VD[block] += left_CV[:, block].T @ right_CD


def _chunks(num_rows: int, rows: int) -> Iterator[slice]:
    return (slice(start, min(start + rows, num_rows)) for start in range(0, num_rows, rows))


def _check_inputs(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, bias_V: Tensor | None) -> None:
    if hidden_ND.ndim != 2 or weight_VD.ndim != 2 or hidden_ND.shape[1] != weight_VD.shape[1]:
        raise ValueError(
            f"hidden {tuple(hidden_ND.shape)} and weight {tuple(weight_VD.shape)} must be (N, D) and (V, D)"
        )
    if targets_N.shape != hidden_ND.shape[:1] or (bias_V is not None and bias_V.shape != weight_VD.shape[:1]):
        raise ValueError(
            f"targets {tuple(targets_N.shape)} must be (N,) = ({len(hidden_ND)},)"
            f" and a bias (V,) = ({len(weight_VD)},)"
        )
    dtypes = {tensor.dtype for tensor in (hidden_ND, weight_VD, bias_V) if tensor is not None}
    if len(dtypes) > 1 or not hidden_ND.is_floating_point():
        raise ValueError(
            f"hidden, weight and bias have dtypes {dtypes}; they must share one floating-point dtype"
        )
