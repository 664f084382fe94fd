"""The keys and values of running sequences, in slots that are allocated once and never moved or grown.

A slot holds one sequence. `PrefillContext` computes prompts packed and stores them; `DecodeContext` appends
one token to each of the slots 0 .. B-1 and attends to all that a slot holds. Which sequence lies in which
slot is known to the caller (`rollout.embedded`), not here.

Shape legend: S slots, B running sequences, T rows of a packed row, H query heads, K key heads, G = H / K, D
head size of queries and keys, E of values, L positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dunwu.errors import ModelError
from dunwu.models.attention import LayerAttention
from dunwu.models.packed_plan import PackedPlan


class KvCache:
    """Slots for `max_slots` sequences of at most `max_length` tokens. A layer's memory is taken when it first
    stores.
    """

    def __init__(self, max_slots: int, max_length: int) -> None:
        """Raises ValueError: a size below 1."""
        if max_slots < 1 or max_length < 1:
            raise ValueError(f"a cache of {max_slots} slots x {max_length} tokens; both must be at least 1")
        self.max_slots = max_slots
        self.max_length = max_length
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes that the layers seen so far have taken."""
        return sum(part.nbytes for part in (*self._keys.values(), *self._values.values()))

    def keys(self, layer: int) -> Tensor:
        """(S, K, L, D)"""
        return self._keys[layer]

    def values(self, layer: int) -> Tensor:
        """(S, K, L, E)"""
        return self._values[layer]

    def store(
        self, layer: int, slots_T: Tensor, positions_T: Tensor, key_TKD: Tensor, value_TKE: Tensor
    ) -> None:
        """Write one token's key and value per row at its slot and position."""
        if layer not in self._keys:
            self._allocate(layer, key_TKD, value_TKE)
        self._keys[layer][slots_T, :, positions_T] = key_TKD
        self._values[layer][slots_T, :, positions_T] = value_TKE

    @torch.inference_mode()
    def copy(self, sources: Sequence[int], targets: Sequence[int], length: int) -> None:
        """Give each target slot the first `length` positions of its source; no slot is both."""
        for keys in self._keys.values():
            keys[targets, :, :length] = keys[sources, :, :length]
        for values in self._values.values():
            values[targets, :, :length] = values[sources, :, :length]

    def _allocate(self, layer: int, key_TKD: Tensor, value_TKE: Tensor) -> None:
        (_, heads, size), value_size = key_TKD.shape, value_TKE.shape[-1]
        slots, length = self.max_slots, self.max_length
        try:
            self._keys[layer] = _zeros((slots, heads, length, size), like=key_TKD)
            self._values[layer] = _zeros((slots, heads, length, value_size), like=value_TKE)
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            raise ModelError(
                f"no memory for a KV cache of {slots} sequences x {length} tokens ({error}); lower the "
                "engine's max_sequences or cache_tokens, or sampling.max_new_tokens"
            ) from error


@dataclass
class PrefillContext:
    """Attention of packed prompts, each of whose keys and values goes to every slot that continues it."""

    plan: PackedPlan
    cache: KvCache
    rows_T: Tensor
    """Row of the packed prompts that store number t copies; one entry per prompt token and slot."""
    slots_T: Tensor
    positions_T: Tensor

    def attend(self, query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, layer: LayerAttention) -> Tensor:
        """The attention output (T, H, E) of one layer; see `AttentionContext`."""
        keys, values = key_TKD.index_select(0, self.rows_T), value_TKE.index_select(0, self.rows_T)
        self.cache.store(layer.layer, self.slots_T, self.positions_T, keys, values)
        return self.plan.attend(query_THD, key_TKD, value_TKE, layer)


@dataclass
class DecodeContext:
    """Attention of one new token in each of the slots 0 .. B-1."""

    cache: KvCache
    positions_B: Tensor
    """Of the new tokens."""
    longest: int
    """Positions in use by the longest of them, the new token included."""
    _slots_B: Tensor = field(init=False, repr=False)
    _biases: dict[int | None, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._slots_B = torch.arange(self.positions_B.shape[0], device=self.positions_B.device)

    def attend(self, query_BHD: Tensor, key_BKD: Tensor, value_BKE: Tensor, layer: LayerAttention) -> Tensor:
        """The attention output (B, H, E) of one layer; see `AttentionContext`."""
        self.cache.store(layer.layer, self._slots_B, self.positions_B, key_BKD, value_BKE)
        num_sequences, num_heads, size = query_BHD.shape
        num_key_heads = key_BKD.shape[1]
        key_BKLD = self.cache.keys(layer.layer)[:num_sequences, :, : self.longest]
        value_BKLE = self.cache.values(layer.layer)[:num_sequences, :, : self.longest]
        query_BKGD = query_BHD.reshape(num_sequences, num_key_heads, num_heads // num_key_heads, size)
        scores_BKGL = _scores(query_BKGD * layer.scale, key_BKLD)
        if layer.softcap is not None:
            scores_BKGL = (scores_BKGL / layer.softcap).tanh() * layer.softcap
        scores_BKGL = scores_BKGL + self._bias(layer.sliding_window, scores_BKGL.dtype)
        weights_BKGL = torch.softmax(scores_BKGL, dim=-1)
        return torch.matmul(weights_BKGL, value_BKLE).reshape(num_sequences, num_heads, -1)

    def _bias(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """(B, 1, 1, L): 0 where a sequence's new token looks, else -inf; made once per window and step."""
        if window is not None and window >= self.longest:
            window = None
        if window not in self._biases:
            indices_L = torch.arange(self.longest, device=self.positions_B.device)
            hidden_BL = indices_L > self.positions_B[:, None]
            if window is not None:
                hidden_BL |= indices_L <= self.positions_B[:, None] - window
            bias_BL = torch.zeros(hidden_BL.shape, dtype=dtype, device=hidden_BL.device)
            self._biases[window] = bias_BL.masked_fill_(hidden_BL, float("-inf"))[:, None, None]
        return self._biases[window]


def prefill_stores(lengths: Sequence[int], slots: Sequence[Sequence[int]]) -> tuple[np.ndarray, ...]:
    """Rows, slots and positions of what prompts laid end to end store, prompt p in each slot of slots[p]."""
    rows, into, positions = [], [], []
    start = 0
    for length, targets in zip(lengths, slots, strict=True):
        for slot in targets:
            rows.append(np.arange(start, start + length))
            into.append(np.full(length, slot))
            positions.append(np.arange(length))
        start += length
    return np.concatenate(rows), np.concatenate(into), np.concatenate(positions)


def _zeros(shape: tuple[int, ...], *, like: Tensor) -> Tensor:
    """Zeros of like's dtype and device; on the CPU of memory that the system hands out only when it is
    written.
    """
    if like.device.type != "cpu":
        return torch.zeros(shape, dtype=like.dtype, device=like.device)
    num_bytes = int(np.prod(shape)) * like.element_size()
    return torch.from_numpy(np.zeros(num_bytes, dtype=np.uint8)).view(like.dtype).view(shape)


def _scores(query_BKGD: Tensor, key_BKLD: Tensor) -> Tensor:
    """query @ key^T (B, K, G, L). In 16 bit the product of the key matrix with the few queries is the quicker
    one on a CPU.
    """
    if query_BKGD.dtype == torch.float32:
        return torch.matmul(query_BKGD, key_BKLD.transpose(2, 3))
    return torch.matmul(key_BKLD, query_BKGD.transpose(2, 3)).transpose(2, 3)
