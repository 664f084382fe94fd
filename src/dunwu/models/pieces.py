"""Attention of a block under a bias, so many sequences and queries at a time that the bias stays small.

Called by `packed_plan` for segments whose prefix is not computed again, and for layers with a window or a
softcap.

Shape legend: B sequences of a block, H query heads, K key heads, Q queries, L keys, D head size of queries
and keys, E of values.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dunwu.models.attention import LayerAttention
from dunwu.models.block_attention import masked_attention

MAX_BIAS_CELLS = 1 << 22
_MIN_WINDOW_STEP = 256


@dataclass(frozen=True)
class Piece:
    """Some sequences of a block, some of their queries, and the keys that these can reach."""

    batch: slice
    queries: slice
    keys: slice
    bias_BQL: Tensor


def cut_pieces(
    prefix_B: Tensor, num_queries: int, num_keys: int, window: int | None, dtype: torch.dtype
) -> Iterator[Piece]:
    """Cut a block so that the bias of a piece has at most about MAX_BIAS_CELLS cells.

    Query i of sequence b sees the keys j with prefix[b] + i - window < j <= prefix[b] + i; keys that no query
    of a piece sees are left out of it. A query beyond the keys is padding and sees what the last key sees.
    """
    device = prefix_B.device
    step = max(1, min(num_queries, MAX_BIAS_CELLS // num_keys))
    if window:
        step = min(step, max(window, _MIN_WINDOW_STEP))
    batch = max(1, MAX_BIAS_CELLS // (step * num_keys))
    for b in range(0, len(prefix_B), batch):
        here = slice(b, b + batch)
        for q in range(0, num_queries, step):
            end = min(q + step, num_queries)
            index_BQ = (prefix_B[here, None] + torch.arange(q, end, device=device)).clamp(max=num_keys - 1)
            low = max(0, int(index_BQ.min()) - window + 1) if window else 0
            high = int(index_BQ.max()) + 1
            keys_L = torch.arange(low, high, device=device)
            hidden_BQL = keys_L > index_BQ[..., None]
            if window:
                hidden_BQL |= keys_L <= index_BQ[..., None] - window
            bias_BQL = torch.zeros(hidden_BQL.shape, dtype=dtype, device=device)
            bias_BQL.masked_fill_(hidden_BQL, float("-inf"))
            yield Piece(here, slice(q, end), slice(low, high), bias_BQL)


def attend_in_pieces(
    query_BHQD: Tensor,
    key_BKLD: Tensor,
    value_BKLE: Tensor,
    pieces: Iterable[Piece],
    layer: LayerAttention,
) -> Tensor:
    """Attention (B, H, Q, E) of one block, piece by piece."""
    num_queries = query_BHQD.shape[2]
    rows: list[Tensor] = []
    columns: list[Tensor] = []
    for piece in pieces:
        columns.append(
            masked_attention(
                query_BHQD[piece.batch, :, piece.queries],
                key_BKLD[piece.batch, :, piece.keys],
                value_BKLE[piece.batch, :, piece.keys],
                piece.bias_BQL,
                scale=layer.scale,
                softcap=layer.softcap,
            )
        )
        if piece.queries.stop == num_queries:
            rows.append(columns[0] if len(columns) == 1 else torch.cat(columns, dim=2))
            columns = []
    return rows[0] if len(rows) == 1 else torch.cat(rows)
