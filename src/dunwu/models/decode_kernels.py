"""What stands between the matrix products of a decode step, as loops in C (`kernels/c`).

They do what `decode_stack` and `decode_attention` do with torch's operations, in one pass each: heads are rotated, stored and
used while they are in the processor's cache, and no scores are kept. Rounding is the modules' own, but for scores and weights
of attention, which stay in float32 as they do in training. Called by `decode_stack`, where kernels are there and fit the model.

Shape legend: B sequences, D hidden size, H query heads, K key heads, E head size, I intermediate size.
"""

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from dunwu.kernels.build import library
from dunwu.kernels.call import SUFFIXES, call
from dunwu.models import lean_kernels
from dunwu.models.attention import LayerAttention
from dunwu.models.decode_attention import DecodeContext

_MOST_GROUPS = 16  # as in decode.c
_MOST_HEAD_SIZE = 256


@dataclass(frozen=True)
class HeadShape:
    """How many query and key heads there are, and their size."""

    num_queries: int
    num_keys: int
    size: int

    @property
    def fits(self) -> bool:
        """Whether the kernel of attention takes such heads."""
        groups = self.num_queries // self.num_keys
        return groups <= _MOST_GROUPS and self.size <= _MOST_HEAD_SIZE and self.size % 8 == 0


class DecodeKernels:
    """The kernels of one decode step. Tensors are contiguous, on the CPU, and of one dtype."""

    def __init__(self, kernels: ctypes.CDLL) -> None:
        self._kernels = kernels

    def add_and_norm(
        self, hidden_BD: Tensor, delta_BD: Tensor | None, weight_D: Tensor, eps: float
    ) -> Tensor:
        """Add delta to the hidden states, in place, and return their RMS norm (B, D)."""
        normed_BD = torch.empty_like(hidden_BD)
        call(
            self._kernels, "add_rms_norm", hidden_BD, delta_BD, weight_D, normed_BD, *hidden_BD.shape, eps, dtype=hidden_BD.dtype
        )  # fmt: skip
        return normed_BD

    def gated(self, gate_and_up: Tensor) -> Tensor:
        """silu(gate) * up (B, I) of both side by side (B, 2 I)."""
        return lean_kernels.silu_gate(self._kernels, *gate_and_up.chunk(2, -1))

    def attend(
        self,
        heads_B: Tensor,
        rotation: tuple[Tensor, Tensor],
        head_norm: tuple[Tensor, float] | None,
        shape: HeadShape,
        context: DecodeContext,
        layer: LayerAttention,
    ) -> Tensor:
        """Rotate the heads, store keys and values, attend.

        Args:
            heads_B: (B, (H + 2 K) E) queries, keys and values.
            rotation: cos and sin (B, E).
            head_norm: weights (H + K, E) of the norms of queries and keys, and their eps.
        Returns:
            (B, H E).
        """
        store = context.cache.layer(layer.layer)
        mixed_B = heads_B.new_empty(len(heads_B), shape.num_queries * shape.size)
        weight, eps = head_norm or (None, 0.0)
        call(
            self._kernels, "decode_attention", heads_B, *rotation, weight,
            store.prompt_key_PKLD, store.prompt_value_PKLE, store.key_SKLD, store.value_SKLE,
            context.running.places_B, context.running.prompt_lengths_B, context.own_B, mixed_B,
            len(heads_B), shape.num_queries, shape.num_keys, shape.size,
            store.prompt_key_PKLD.shape[2], store.key_SKLD.shape[2],
            layer.sliding_window or 0, layer.scale, eps, dtype=heads_B.dtype,
        )  # fmt: skip
        return mixed_B


def decode_kernels(shape: HeadShape, dtype: torch.dtype) -> DecodeKernels | None:
    """The kernels for a model on the CPU; None where there are none, or they do not fit it."""
    kernels = library()
    return None if kernels is None or dtype not in SUFFIXES or not shape.fits else DecodeKernels(kernels)
