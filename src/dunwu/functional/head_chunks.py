"""The output layer chunk by chunk: logits of a few tokens at a time, in buffers used again, and the gradients behind them.

What the functions that never hold the logits of a batch have in common (`logprobs`, `reverse_kl`).

Shape legend: N tokens, D hidden size, V vocabulary, C tokens of one chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

REFERENCE_VOCAB = 8192
"""A chunk of a larger vocabulary has proportionally fewer tokens, so that its logits need the same memory."""
_WEIGHT_BLOCK_ROWS = 4096


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


def chunks(num_rows: int, rows: int) -> Iterator[slice]:
    """Yield the slices of `rows` rows that cover num_rows."""
    return (slice(start, min(start + rows, num_rows)) for start in range(0, num_rows, rows))


def check_head(hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None) -> None:
    """Refuse hidden states, weight and bias that do not fit together.

    Raises:
        ValueError: their shapes or dtypes differ where they must not.
    """
    if hidden_ND.ndim != 2 or weight_VD.ndim != 2 or hidden_ND.shape[1] != weight_VD.shape[1]:
        raise ValueError(
            f"hidden {tuple(hidden_ND.shape)} and weight {tuple(weight_VD.shape)} must be (N, D) and (V, D)"
        )
    if bias_V is not None and bias_V.shape != weight_VD.shape[:1]:
        raise ValueError(f"a bias (V,) = ({len(weight_VD)},) is needed; it is {tuple(bias_V.shape)}")
    dtypes = {tensor.dtype for tensor in (hidden_ND, weight_VD, bias_V) if tensor is not None}
    if len(dtypes) > 1 or not hidden_ND.is_floating_point():
        raise ValueError(
            f"hidden, weight and bias have dtypes {dtypes}; they must share one floating-point dtype"
        )


@dataclass(frozen=True)
class HeadForm:
    """How logits become a distribution, and how many tokens are done at a time."""

    temperature: float
    softcap: float | None
    rows: int


class Workspace:
    """Two buffers of one chunk's logits (three for 16-bit inputs), used again for every chunk."""

    def __init__(self, hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, head: HeadForm) -> None:
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

    def through_softcap(self, grad_CV: Tensor, logits_CV: Tensor) -> Tensor:
        """Turn a gradient with respect to capped logits, in place, into one with respect to raw ones; overwrites `logits_CV`."""
        if self.head.softcap is not None:
            tanh_CV = logits_CV.mul_(self.head.temperature / self.head.softcap)
            grad_CV.mul_(tanh_CV.square_().neg_().add_(1))
        return grad_CV

    def narrow(self, grad_logits_CV: Tensor) -> Tensor:
        """The same in the dtype of the inputs, for the matrix products."""
        if self.product_CV is self.logits_CV:
            return grad_logits_CV
        return self.product_CV[: len(grad_logits_CV)].copy_(grad_logits_CV)


class HeadGradients:
    """The gradients of hidden states, weight and bias, added up chunk by chunk; that of the weight in float32 (or float64).

    Args:
        needs: whether each of the three is wanted.
    """

    def __init__(self, needs: tuple[bool, bool, bool], hidden_ND: Tensor, workspace: Workspace) -> None:
        weight_VD = workspace.weight_VD
        wide = workspace.logits_CV.dtype
        self.workspace = workspace
        self.hidden_ND = torch.zeros_like(hidden_ND) if needs[0] else None
        self.weight_VD = torch.zeros_like(weight_VD, dtype=wide) if needs[1] else None
        self.bias_V = weight_VD.new_zeros(len(weight_VD), dtype=wide) if needs[2] else None

    def add(self, rows_C: Tensor, hidden_CD: Tensor, grad_logits_CV: Tensor) -> None:
        """Add what a chunk's gradient with respect to its raw logits gives; overwrites the workspace's product buffer."""
        if self.bias_V is not None:
            self.bias_V += grad_logits_CV.sum(0)
        narrow_CV = self.workspace.narrow(grad_logits_CV)
        if self.hidden_ND is not None:
            self.hidden_ND[rows_C] = narrow_CV @ self.workspace.weight_VD
        if self.weight_VD is not None:
            _add_product(self.weight_VD, narrow_CV, hidden_CD)

    def results(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of hidden states, weight and bias in the weight's dtype."""
        dtype = self.workspace.weight_VD.dtype
        weight_VD = None if self.weight_VD is None else self.weight_VD.to(dtype)
        return self.hidden_ND, weight_VD, None if self.bias_V is None else self.bias_V.to(dtype)


def _add_product(sum_VD: Tensor, left_CV: Tensor, right_CD: Tensor) -> None:
    """sum += left^T right in the dtype of the sum; products of a narrower dtype are added block by block."""
    if left_CV.dtype == sum_VD.dtype:
        sum_VD.addmm_(left_CV.T, right_CD)
        return
    for block in chunks(len(sum_VD), _WEIGHT_BLOCK_ROWS):
        sum_VD[block] += left_CV[:, block].T @ right_CD
