"""Attention of one new token in each running sequence, over its prompt and over what it has added itself.

Samples of one prompt read the same keys: their queries are laid side by side and meet the prompt's keys in
one matrix product, so a prompt's memory is read once per step and not once per sample. The scores of both
parts go through one softmax. Called through `attention` by every layer of `Policy.decode`.

Shape legend: B running sequences (slots 0 .. B-1), P prompt places in use, M most sequences of one prompt, H
query heads, K key heads, G = H / K, D head size of queries and keys, E of values, L positions of prompts, N
of slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dunwu.models.attention import LayerAttention
from dunwu.models.kv_cache import KvCache, LayerStore


@dataclass(frozen=True)
class Running:
    """Which prompt each running sequence continues; valid until a sequence starts, ends or moves."""

    places_B: Tensor
    prompt_lengths_B: Tensor
    members_PM: Tensor
    """Sequences of each prompt place, filled up with any."""
    seats_B: Tensor
    """Where a sequence stands in members_PM, laid end to end."""
    longest_prompt: int

    @classmethod
    def of(cls, places: Sequence[int], prompt_lengths: Sequence[int], device: torch.device) -> "Running":
        """Args: the prompt place and the prompt's length of the sequence in each slot 0, 1, 2, ..."""
        places_B = np.asarray(places, dtype=np.int64)
        counts_P = np.bincount(places_B)
        members_PM = np.zeros((len(counts_P), counts_P.max()), dtype=np.int64)
        order_B = np.argsort(places_B, kind="stable")
        first_P = np.cumsum(counts_P) - counts_P
        rank_B = np.arange(len(places_B)) - first_P[places_B[order_B]]
        members_PM[places_B[order_B], rank_B] = order_B
        seats_B = np.empty(len(places_B), dtype=np.int64)
        seats_B[order_B] = places_B[order_B] * members_PM.shape[1] + rank_B
        return cls(
            torch.from_numpy(places_B).to(device),
            torch.tensor(prompt_lengths, device=device),
            torch.from_numpy(members_PM).to(device),
            torch.from_numpy(seats_B).to(device),
            int(max(prompt_lengths)),
        )


@dataclass
class DecodeContext:
    """One decode step: appends a token to every running sequence's slot and attends to all before it."""

    cache: KvCache
    running: Running
    own_B: Tensor
    """Tokens that each sequence has added before this one."""
    longest: int = field(init=False)
    """1 + the greatest of them."""
    _even: bool = field(init=False, repr=False)
    """Whether all have added the same number."""
    _slots_B: Tensor = field(init=False, repr=False)
    _biases: dict[int | None, Tensor] = field(default_factory=dict, repr=False)
    _rows: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        least, greatest = (int(value) for value in self.own_B.aminmax())
        self.longest, self._even = greatest + 1, least == greatest
        self._slots_B = torch.arange(len(self.own_B), device=self.own_B.device)

    def attend(self, query_BHD: Tensor, key_BKD: Tensor, value_BKE: Tensor, layer: LayerAttention) -> Tensor:
        """The attention output (B, H, E) of one layer; see `AttentionContext`."""
        store = self.cache.layer(layer.layer)
        num_sequences, num_heads, size = query_BHD.shape
        if self._even:
            store.key_SKLD[:num_sequences, :, self.longest - 1] = key_BKD
            store.value_SKLE[:num_sequences, :, self.longest - 1] = value_BKE
        else:
            store.key_SKLD[self._slots_B, :, self.own_B] = key_BKD
            store.value_SKLE[self._slots_B, :, self.own_B] = value_BKE
        num_key_heads = key_BKD.shape[1]
        query_BKGD = query_BHD.reshape(num_sequences, num_key_heads, -1, size) * layer.scale
        scores_BKGX = self._scores(query_BKGD, store)
        if layer.softcap is not None:
            scores_BKGX.div_(layer.softcap).tanh_().mul_(layer.softcap)
        scores_BKGX += self._bias(layer.sliding_window)
        weights_BKGX = torch.softmax(scores_BKGX, dim=-1).to(query_BHD.dtype)
        return self._mix(weights_BKGX, store).reshape(num_sequences, num_heads, -1)

    def _scores(self, query_BKGD: Tensor, store: LayerStore) -> Tensor:
        """The scores (B, K, G, L + N) of the prompt's keys and of the sequence's own, float32."""
        num_sequences, num_key_heads, num_groups, size = query_BKGD.shape
        to_seats, to_sequences = self._row_indices(num_key_heads)
        num_places, most = self.running.members_PM.shape
        split = self.running.longest_prompt
        scores_BKGX = torch.empty(
            (num_sequences, num_key_heads, num_groups, split + self.longest),
            dtype=torch.float32,
            device=query_BKGD.device,
        )
        seated = query_BKGD.reshape(-1, num_groups * size).index_select(0, to_seats)
        seated_PKYD = seated.view(num_places, num_key_heads, most * num_groups, size)
        prompt_PKYL = torch.matmul(seated_PKYD, store.prompt_key_PKLD[:num_places, :, :split].transpose(2, 3))
        rows = prompt_PKYL.view(-1, num_groups * split).index_select(0, to_sequences)
        scores_BKGX[..., :split] = rows.view(num_sequences, num_key_heads, num_groups, split)
        key_BKND = store.key_SKLD[:num_sequences, :, : self.longest]
        scores_BKGX[..., split:] = _few_queries(query_BKGD, key_BKND)
        return scores_BKGX

    def _mix(self, weights_BKGX: Tensor, store: LayerStore) -> Tensor:
        """The weighted values (B, K, G, E)."""
        num_sequences, num_key_heads, num_groups, _ = weights_BKGX.shape
        to_seats, to_sequences = self._row_indices(num_key_heads)
        num_places, most = self.running.members_PM.shape
        split = self.running.longest_prompt
        seated = weights_BKGX[..., :split].flatten(0, 1).index_select(0, to_seats)
        seated_PKYL = seated.view(num_places, num_key_heads, most * num_groups, split)
        mixed_PKYE = torch.matmul(seated_PKYL, store.prompt_value_PKLE[:num_places, :, :split])
        rows = mixed_PKYE.view(-1, num_groups * mixed_PKYE.shape[-1]).index_select(0, to_sequences)
        value_BKNE = store.value_SKLE[:num_sequences, :, : self.longest]
        own_BKGE = torch.matmul(weights_BKGX[..., split:], value_BKNE)
        return own_BKGE.add_(rows.view(own_BKGE.shape))

    def _row_indices(self, num_key_heads: int) -> tuple[Tensor, Tensor]:
        """From rows (sequence, key head) to rows (place, key head, seat), and back."""
        if num_key_heads not in self._rows:
            heads_K = torch.arange(num_key_heads, device=self.own_B.device)
            members_PM = self.running.members_PM
            most = members_PM.shape[1]
            to_seats_PKM = members_PM[:, None, :] * num_key_heads + heads_K[:, None]
            place_B, seat_B = self.running.seats_B // most, self.running.seats_B % most
            to_sequences_BK = (place_B[:, None] * num_key_heads + heads_K) * most + seat_B[:, None]
            self._rows[num_key_heads] = (to_seats_PKM.flatten(), to_sequences_BK.flatten())
        return self._rows[num_key_heads]

    def _bias(self, window: int | None) -> Tensor:
        """(B, 1, 1, L + N) float32: 0 where a sequence's new token looks, else -inf; made once per window."""
        if window not in self._biases:
            device = self.own_B.device
            length_B1, own_B1 = self.running.prompt_lengths_B[:, None], self.own_B[:, None]
            prompt_L = torch.arange(self.running.longest_prompt, device=device)
            slot_N = torch.arange(self.longest, device=device)
            hidden_BL, hidden_BN = prompt_L >= length_B1, slot_N > own_B1
            if window is not None:
                hidden_BL |= prompt_L <= length_B1 + own_B1 - window
                hidden_BN |= slot_N <= own_B1 - window
            hidden_BX = torch.cat([hidden_BL, hidden_BN], dim=1)
            bias_BX = torch.zeros(hidden_BX.shape, device=device).masked_fill_(hidden_BX, float("-inf"))
            self._biases[window] = bias_BX[:, None, None]
        return self._biases[window]


def _few_queries(query_BKGD: Tensor, key_BKND: Tensor) -> Tensor:
    """query @ key^T (B, K, G, N). In 16 bit on a CPU the product of the keys with the few queries is the
    quicker one.
    """
    if query_BKGD.dtype == torch.float32:
        return torch.matmul(query_BKGD, key_BKND.transpose(2, 3))
    return torch.matmul(key_BKND, query_BKGD.transpose(2, 3)).transpose(2, 3)
