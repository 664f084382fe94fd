"""Attention of a packed row by our own loops in C, straight on its rows: nothing gathered, padded or masked beforehand.

A row of a segment sees the rows of its prefix and those of its own segment up to itself. Segments are cut
into tiles of queries, which attention walks side by side. For the gradient, long segments are cut into units
first: a unit's share of the gradients of its keys is kept apart, and the shares of each row are added in the
order of the units, so that results do not depend on how many threads there are. Called by `packed_plan`,
where there are kernels for the tensors at hand.

Shape legend: T rows, H query heads, K key heads, D size of queries and keys, E of values, N places of keys of all units.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dunwu.kernels.call import call
from dunwu.kernels.call import kernels_for as kernels_of
from dunwu.models.attention import LayerAttention
from dunwu.records import Segment

PANEL = 16
MAX_COLUMNS = 128
"""Queries of a tile times the heads that share their key head; see `packed_attention.c`."""
MAX_HEAD_SIZE = 256
UNIT_ROWS = 512
MAX_UNITS = 4
"""Of a segment; together they keep at most about twice its rows as shares."""


@dataclass(frozen=True)
class Tiles:
    """What a packed row's queries see, cut up for the kernels; all int32.

    The keys of a unit are rows listed one after the other in `key_rows_N`, filled up to a multiple of PANEL.
    """

    tiles: Tensor  # (num_tiles, 4): first query, queries, keys before the first, first place of its keys
    units: Tensor  # (num_units, 4): first tile, end of tiles, first place of its keys, places
    key_rows_N: Tensor
    share_begin: Tensor  # (T + 1,): the places of row t are share_places[share_begin[t] : share_begin[t + 1]]
    share_places: Tensor


def kernels_for(query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor) -> ctypes.CDLL | None:
    """The kernels, if there are any and they take such tensors."""
    if query_THD.shape[1] // key_TKD.shape[1] > MAX_COLUMNS:
        return None
    if max(query_THD.shape[-1], value_TKE.shape[-1]) > MAX_HEAD_SIZE:
        return None
    return kernels_of(query_THD, key_TKD, value_TKE)


def cut_tiles(segments: Sequence[Segment], num_rows: int, group: int) -> Tiles:
    """Cut the segments of a packed row for `group` query heads to a key head."""
    tiles: list[tuple[int, int, int, int]] = []
    units: list[tuple[int, int, int, int]] = []
    rows: list[np.ndarray] = []
    place = 0
    for segment in segments:
        prefix = segment.prefix_end - segment.prefix_start
        for start, end in _units(segment.end - segment.start, prefix):
            first_tile = len(tiles)
            step = -(-(end - start) // -(-(end - start) // (MAX_COLUMNS // group)))
            tiles += [
                (segment.start + at, min(step, end - at), prefix + at, place)
                for at in range(start, end, step)
            ]
            rows += [
                np.arange(segment.prefix_start, segment.prefix_end),
                np.arange(segment.start, segment.start + end),
                np.full(-(prefix + end) % PANEL, num_rows),
            ]
            num_places = -(-(prefix + end) // PANEL) * PANEL
            units.append((first_tile, len(tiles), place, num_places))
            place += num_places
    rows_N = np.concatenate(rows)
    places = np.argsort(rows_N, kind="stable")
    begin = np.searchsorted(rows_N[places], np.arange(num_rows + 1))
    made = (np.array(tiles), np.array(units), rows_N, begin, places)
    return Tiles(*(torch.from_numpy(part.astype(np.int32)) for part in made))


def _units(length: int, prefix: int) -> list[tuple[int, int]]:
    """Cut a segment's rows into units of like work: row i sees prefix + i + 1 keys."""
    parts = min(MAX_UNITS, max(1, length // UNIT_ROWS))
    squares = np.linspace(prefix**2, (prefix + length) ** 2, parts + 1)
    ends = [round(float(end)) for end in np.sqrt(squares) - prefix]
    return list(pairwise(ends))


def attend_tiles(
    query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, tiles: Tiles, layer: LayerAttention
) -> Tensor:
    """The attention output (T, H, E), differentiable.

        softmax(cap(scale * query @ key^T)) @ value over the keys seen,   cap(s) = softcap * tanh(s / softcap)

    Args:
        query_THD, key_TKD, value_TKE: `kernels_for` takes them; H a multiple of K.
        tiles: cut for H / K.
    """
    output: Tensor = _TiledAttention.apply(query_THD, key_TKD, value_TKE, tiles, layer)
    return output


class _TiledAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, tiles: Tiles, layer: LayerAttention
    ) -> Tensor:
        parts = (query_THD.contiguous(), key_TKD.contiguous(), value_TKE.contiguous())
        kernels = kernels_for(*parts)
        assert kernels is not None
        (num_rows, heads, size), (_, key_heads, value_size) = query_THD.shape, value_TKE.shape
        output_THE = query_THD.new_empty(num_rows, heads, value_size)
        lse_TH = torch.empty(num_rows, heads)
        call(
            kernels, "packed_attention", *parts, output_THE, lse_TH, tiles.tiles, len(tiles.tiles), tiles.key_rows_N,
            heads, key_heads, size, value_size, *_options(layer), dtype=query_THD.dtype,
        )  # fmt: skip
        ctx.save_for_backward(*parts, output_THE, lse_TH)
        ctx.kernels, ctx.tiles, ctx.layer = kernels, tiles, layer
        return output_THE

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output_THE: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query_THD, key_TKD, value_TKE, output_THE, lse_TH = ctx.saved_tensors
        tiles: Tiles = ctx.tiles
        (num_rows, heads, size), (_, key_heads, value_size) = query_THD.shape, value_TKE.shape
        num_places = len(tiles.key_rows_N)
        d_query_THD = torch.empty_like(query_THD)
        shares = [torch.empty(key_heads, num_places, -(-s // PANEL) * PANEL) for s in (size, value_size)]
        call(
            ctx.kernels, "packed_attention_backward", query_THD, key_TKD, value_TKE, output_THE, lse_TH,
            d_output_THE.contiguous(), d_query_THD, *shares, tiles.tiles, tiles.units, len(tiles.units), tiles.key_rows_N,
            num_places, heads, key_heads, size, value_size, *_options(ctx.layer), dtype=query_THD.dtype,
        )  # fmt: skip
        d_key_TKD, d_value_TKE = torch.empty_like(key_TKD), torch.empty_like(value_TKE)
        for share, total in zip(shares, (d_key_TKD, d_value_TKE), strict=True):
            call(
                ctx.kernels, "packed_attention_sum", share, total, tiles.share_begin, tiles.share_places,
                num_rows, num_places, key_heads, total.shape[-1], dtype=total.dtype,
            )  # fmt: skip
        return d_query_THD, d_key_TKD, d_value_TKE, None, None


def _options(layer: LayerAttention) -> tuple[float, float, int]:
    """Scale, softcap and window, 0 for none."""
    return float(layer.scale), float(layer.softcap or 0), int(layer.sliding_window or 0)
