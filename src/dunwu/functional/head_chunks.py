"""The output layer chunk by chunk: logits of a few tokens at a time, in buffers used again, and the gradients behind them.

What the functions that never hold the logits of a batch have in common (`logprobs`, `reverse_kl`).

Shape legend: N tokens, D hidden size, V vocabulary, C tokens of one chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

REFERENCE_VOCAB = 8192
"""A chunk of a larger vocabulary has proportionally fewer tokens, so that its logits need the same memory."""
_WEIGHT_BLOCK_ROWS = 4096
_SLICE_ELEMENTS = 2**19  # of the rows that are worked on elementwise: 2 MB in float32


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
    """Yield the slices of `rows` rows that cover num_rows; only the first one may be shorter."""
    begin = 0
    while begin < num_rows:
        end = begin + ((num_rows - begin) % rows or rows)
        yield slice(begin, end)
        begin = end


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
    """One buffer of a chunk's logits in the dtype of the inputs, large enough for matrix products to be fast.

    Without kernels there are two wide ones besides, of the few rows that are worked on at a time: they stay in the processor's
    cache.

    Args:
        product_CV: a buffer of an earlier workspace of the same inputs, to be used again; None: a new one.
    """

    def __init__(
        self,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        head: HeadForm,
        product_CV: Tensor | None = None,
    ) -> None:
        self.weight_VD, self.bias_V, self.head = weight_VD, bias_V, head
        self.wide = torch.float64 if hidden_ND.dtype == torch.float64 else torch.float32
        shape = (min(head.rows, len(hidden_ND)), weight_VD.shape[0])
        self.product_CV = hidden_ND.new_empty(shape) if product_CV is None else product_CV
        self.slice_rows = max(1, min(shape[0], _SLICE_ELEMENTS // shape[1]))

    def logits(self, hidden_CD: Tensor) -> Tensor:
        """Compute the raw logits of a chunk, in `product_CV`, and return its part that holds them."""
        product_CV = self.product_CV[: len(hidden_CD)]
        if self.bias_V is None:
            return torch.mm(hidden_CD, self.weight_VD.T, out=product_CV)
        return torch.addmm(self.bias_V, hidden_CD, self.weight_VD.T, out=product_CV)

    def distributions(self, hidden_CD: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield a few rows of the chunk at a time: which, their logits after softcap and temperature, and the softmax of these.

        Both tensors are the caller's to overwrite and valid until the next rows; the same rows of `product_CV` may be written.
        """
        product_CV = self.logits(hidden_CD)
        for rows in chunks(len(hidden_CD), self.slice_rows):
            logits_SV = product_CV[rows]
            if logits_SV.dtype != self.wide:
                logits_SV = self._wide_logits_SV[: len(logits_SV)].copy_(logits_SV)
            if self.head.softcap is not None:
                logits_SV.div_(self.head.softcap).tanh_().mul_(self.head.softcap)
            if self.head.temperature != 1:
                logits_SV.div_(self.head.temperature)
            yield rows, logits_SV, torch.softmax(logits_SV, -1, out=self._probs_SV[: len(logits_SV)])

    @cached_property
    def _probs_SV(self) -> Tensor:
        return self.product_CV.new_empty((self.slice_rows, self.product_CV.shape[1]), dtype=self.wide)

    @cached_property
    def _wide_logits_SV(self) -> Tensor:
        return torch.empty_like(self._probs_SV)

    def through_softcap(self, grad_SV: Tensor, logits_SV: Tensor) -> Tensor:
        """Turn a gradient with respect to capped logits, in place, into one with respect to raw ones; overwrites `logits_SV`."""
        if self.head.softcap is not None:
            tanh_SV = logits_SV.mul_(self.head.temperature / self.head.softcap)
            grad_SV.mul_(tanh_SV.square_().neg_().add_(1))
        return grad_SV


class HeadGradients:
    """The gradients of hidden states, weight and bias, added up chunk by chunk; that of the weight in float32 (or float64).

    Args:
        needs: whether each of the three is wanted.
    """

    def __init__(self, needs: tuple[bool, bool, bool], hidden_ND: Tensor, workspace: Workspace) -> None:
        weight_VD = workspace.weight_VD
        self.workspace = workspace
        self.needs_weight = needs[1]
        self.hidden_ND = torch.zeros_like(hidden_ND) if needs[0] else None
        self.weight_VD: Tensor | None = None
        self.bias_V = weight_VD.new_zeros(len(weight_VD), dtype=workspace.wide) if needs[2] else None

    def add(self, rows_C: Tensor, hidden_CD: Tensor, grad_CV: Tensor, scale_C: Tensor) -> None:
        """Add what a chunk gives whose gradient with respect to its raw logits is scale[c] * grad[c, v].

        The scale meets the hidden states and their gradient, which are smaller than the logits.

        Args:
            rows_C: (C,) int64, where the chunk's tokens lie among all.
            grad_CV: (C, V) in the dtype of the inputs.
            scale_C: (C,) in the wide dtype.
        """
        if self.bias_V is not None:
            self.bias_V += scale_C.to(grad_CV.dtype) @ grad_CV
        scale_C1 = scale_C[:, None]
        if self.hidden_ND is not None:
            self.hidden_ND[rows_C] = ((grad_CV @ self.workspace.weight_VD) * scale_C1).to(grad_CV.dtype)
        if self.needs_weight:
            self._add_weight(grad_CV, (hidden_CD * scale_C1).to(grad_CV.dtype))

    def results(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of hidden states, weight and bias in the weight's dtype."""
        weight_VD = self.workspace.weight_VD
        grad_VD = None
        if self.needs_weight:
            grad_VD = (
                torch.zeros_like(weight_VD) if self.weight_VD is None else self.weight_VD.to(weight_VD.dtype)
            )
        return self.hidden_ND, grad_VD, None if self.bias_V is None else self.bias_V.to(weight_VD.dtype)

    def _add_weight(self, grad_CV: Tensor, hidden_CD: Tensor) -> None:
        """sum += grad^T hidden in the wide dtype; products of a narrower dtype are added block by block."""
        wide = self.workspace.wide
        if self.weight_VD is None:
            self.weight_VD = torch.empty_like(self.workspace.weight_VD, dtype=wide)
            if grad_CV.dtype == wide:
                torch.mm(grad_CV.T, hidden_CD, out=self.weight_VD)
                return
            for block in chunks(len(self.weight_VD), _WEIGHT_BLOCK_ROWS):
                self.weight_VD[block].copy_(grad_CV[:, block].T @ hidden_CD)
        elif grad_CV.dtype == wide:
            self.weight_VD.addmm_(grad_CV.T, hidden_CD)
        else:
            for block in chunks(len(self.weight_VD), _WEIGHT_BLOCK_ROWS):
                self.weight_VD[block] += grad_CV[:, block].T @ hidden_CD
