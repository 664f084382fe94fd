"""The keys and values of running sequences, in places that are allocated once and never moved or grown.

A prompt's keys and values lie once, in a prompt place, for all the sequences that continue it; what a
sequence has added itself lies in its slot. Which prompt and which sequence lies where is known to the caller
(`rollout.embedded`), not here. `PrefillContext` fills prompt places; `decode_attention` appends to slots and
reads both.

Shape legend: P prompt places, S slots, T rows of a packed row, H query heads, K key heads, D head size of
queries and keys, E of values, L positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dunwu.errors import ModelError
from dunwu.models.attention import LayerAttention
from dunwu.models.packed_plan import PackedPlan


@dataclass(frozen=True)
class CacheSize:
    """How many prompts and running sequences a cache holds, and how long each may be, in tokens."""

    num_prompts: int
    prompt_tokens: int
    num_slots: int
    slot_tokens: int


@dataclass
class LayerStore:
    """One layer's keys and values."""

    prompt_key_PKLD: Tensor
    prompt_value_PKLE: Tensor
    key_SKLD: Tensor
    value_SKLE: Tensor

    @property
    def num_bytes(self) -> int:
        parts = (self.prompt_key_PKLD, self.prompt_value_PKLE, self.key_SKLD, self.value_SKLE)
        return sum(part.nbytes for part in parts)


class KvCache:
    """Places for prompts and slots for sequences. A layer's memory is taken when it first stores a prompt."""

    def __init__(self, size: CacheSize) -> None:
        """Raises ValueError: a size below 1."""
        if min(size.num_prompts, size.prompt_tokens, size.num_slots, size.slot_tokens) < 1:
            raise ValueError(f"a cache of {size}; each size must be at least 1")
        self.size = size
        self._layers: dict[int, LayerStore] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes that the layers seen so far have taken (on a CPU the system hands them out when they are
        written).
        """
        return sum(store.num_bytes for store in self._layers.values())

    def layer(self, index: int) -> LayerStore:
        """The store of a layer that has stored a prompt."""
        return self._layers[index]

    def store_prompts(
        self, index: int, places_T: Tensor, positions_T: Tensor, key_TKD: Tensor, value_TKE: Tensor
    ) -> None:
        """Write one key and value per row at its prompt place and position.

        Raises:
            ModelError: there is no memory for a layer.
        """
        if index not in self._layers:
            self._layers[index] = self._allocate(key_TKD, value_TKE)
        store = self._layers[index]
        store.prompt_key_PKLD[places_T, :, positions_T] = key_TKD
        store.prompt_value_PKLE[places_T, :, positions_T] = value_TKE

    @torch.inference_mode()
    def copy_slots(self, sources: Sequence[int], targets: Sequence[int], length: int) -> None:
        """Give each target slot the first `length` positions of its source; no slot is both."""
        for store in self._layers.values():
            store.key_SKLD[targets, :, :length] = store.key_SKLD[sources, :, :length]
            store.value_SKLE[targets, :, :length] = store.value_SKLE[sources, :, :length]

    def _allocate(self, key_TKD: Tensor, value_TKE: Tensor) -> LayerStore:
        size = self.size
        heads = key_TKD.shape[1]
        prompts, slots = (
            (size.num_prompts, heads, size.prompt_tokens),
            (size.num_slots, heads, size.slot_tokens),
        )
        try:
            return LayerStore(
                _zeros((*prompts, key_TKD.shape[-1]), like=key_TKD),
                _zeros((*prompts, value_TKE.shape[-1]), like=value_TKE),
                _zeros((*slots, key_TKD.shape[-1]), like=key_TKD),
                _zeros((*slots, value_TKE.shape[-1]), like=value_TKE),
            )
        except (MemoryError, RuntimeError) as error:
            raise ModelError(
                f"no memory for a KV cache of {size} ({error}); lower the engine's max_sequences or cache_tokens, "
                "or sampling.max_new_tokens"
            ) from error


@dataclass
class PrefillContext:
    """Attention of packed prompts, whose keys and values go to their places."""

    plan: PackedPlan
    cache: KvCache
    places_T: Tensor
    positions_T: Tensor

    def attend(self, query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, layer: LayerAttention) -> Tensor:
        """The attention output (T, H, E) of one layer; see `AttentionContext`."""
        self.cache.store_prompts(layer.layer, self.places_T, self.positions_T, key_TKD, value_TKE)
        return self.plan.attend(query_THD, key_TKD, value_TKE, layer)


def _zeros(shape: tuple[int, ...], *, like: Tensor) -> Tensor:
    """Zeros of like's dtype and device; on the CPU of memory that the system hands out only when it is
    written.

    Zeros, not rubbish: what lies behind a sequence is read with weight 0, and 0 * NaN would be NaN.
    """
    if like.device.type != "cpu":
        return torch.zeros(shape, dtype=like.dtype, device=like.device)
    num_bytes = int(np.prod(shape)) * like.element_size()
    return torch.from_numpy(np.zeros(num_bytes, dtype=np.uint8)).view(like.dtype).view(shape)
