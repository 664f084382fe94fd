"""The plan of packed attention: which rows of a packed row attend to which, worked out once per batch for all
layers.

Where there are kernels for a layer's tensors, they walk the row itself (`packed_kernel`); what follows is for all other cases.
Segments of similar length are laid side by side in right-padded blocks, inside attention only; everything
else in the model sees the packed row without padding. In a plain block the keys of a segment are its prefix
and then itself, and so are its queries: the prefix's queries are computed again and dropped, which lets a
causal kernel do the work without any mask (padding stands behind every real query, so nothing real sees it).
Where the prefix is long beside its segment, or a sliding window or a softcap is asked for, the queries are
the segment's own rows alone, and masks are made for a bounded number of queries at a time.

Shape legend: T rows of the packed row, B segments of a block, Q queries and L keys of a block's longest
segment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dunwu.models.attention import LayerAttention
from dunwu.models.block_attention import bias_dtype, causal_attention
from dunwu.models.packed_kernel import Tiles, attend_tiles, cut_tiles, kernels_for
from dunwu.models.pieces import MAX_BIAS_CELLS, Piece, attend_in_pieces, cut_pieces
from dunwu.records import Segment

MAX_PREFIX_RATIO = 0.25
"""Longest prefix, in units of its segment, that is computed again in front of the segment."""
MAX_PADDING_FRAC = 0.2
MIN_BLOCK_ROWS = 512
MAX_BLOCK_ROWS = 65536


@dataclass(frozen=True)
class Block:
    """Segments that attention sees side by side. `query_rows_BQ` is None where the queries are all of
    `key_rows_BL`.
    """

    key_rows_BL: Tensor
    query_rows_BQ: Tensor | None
    prefix_B: Tensor
    """Keys before a segment's first own one."""

    @property
    def num_queries(self) -> int:
        rows = self.key_rows_BL if self.query_rows_BQ is None else self.query_rows_BQ
        return rows.numel()


@dataclass(frozen=True)
class BlockPlan:
    """Blocks that cover every row, and where each row's output lies in their outputs laid end to end."""

    blocks: tuple[Block, ...]
    output_T: Tensor


@dataclass
class PackedPlan:
    """What attends to what in one packed row; made by `make_plan`, used by every layer of a forward pass."""

    segments: tuple[Segment, ...]
    num_rows: int
    device: torch.device
    _plain_blocks: BlockPlan | None = field(default=None, repr=False)
    _masked_blocks: BlockPlan | None = field(default=None, repr=False)
    _kept: dict[tuple[int, int | None, torch.dtype], list[Piece]] = field(default_factory=dict, repr=False)
    _tiles: dict[int, Tiles] = field(default_factory=dict, repr=False)

    def attend(self, query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, layer: LayerAttention) -> Tensor:
        """The attention output (T, H, E) of one layer; see `AttentionContext`."""
        if kernels_for(query_THD, key_TKD, value_TKE) is not None:
            tiles = self.tiles(query_THD.shape[1] // key_TKD.shape[1])
            return attend_tiles(query_THD, key_TKD, value_TKE, tiles, layer)
        longest = max(segment.end - segment.start + _prefix_length(segment) for segment in self.segments)
        window = layer.sliding_window if layer.sliding_window and layer.sliding_window < longest else None
        plan = self.blocks(masked=window is not None or layer.softcap is not None)
        outputs = []
        for block in plan.blocks:
            key_BKLD = _gather(key_TKD, block.key_rows_BL)
            value_BKLE = _gather(value_TKE, block.key_rows_BL)
            if block.query_rows_BQ is None:
                query_BHLD = _gather(query_THD, block.key_rows_BL)
                output = causal_attention(query_BHLD, key_BKLD, value_BKLE, scale=layer.scale)
            else:
                query_BHQD = _gather(query_THD, block.query_rows_BQ)
                pieces = self._pieces(block, window, bias_dtype(query_THD))
                output = attend_in_pieces(query_BHQD, key_BKLD, value_BKLE, pieces, layer)
            outputs.append(output.transpose(1, 2).flatten(0, 1))
        output_XHE = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        return output_XHE.index_select(0, plan.output_T)

    def _pieces(self, block: Block, window: int | None, dtype: torch.dtype) -> Iterable[Piece]:
        """A block's pieces; kept for the other layers when there is but one."""
        assert block.query_rows_BQ is not None
        key = (id(block), window, dtype)
        if key not in self._kept:
            num_queries, num_keys = block.query_rows_BQ.shape[1], block.key_rows_BL.shape[1]
            pieces = cut_pieces(block.prefix_B, num_queries, num_keys, window, dtype)
            if len(block.prefix_B) * num_queries * num_keys > MAX_BIAS_CELLS:
                return pieces
            self._kept[key] = list(pieces)
        return self._kept[key]

    def tiles(self, group: int) -> Tiles:
        """The tiles of layers with `group` query heads to a key head; worked out when first asked for."""
        if group not in self._tiles:
            self._tiles[group] = cut_tiles(self.segments, self.num_rows, group)
        return self._tiles[group]

    def blocks(self, *, masked: bool) -> BlockPlan:
        """The blocks of layers without (or with) a window or softcap; worked out when first asked for."""
        if masked:
            if self._masked_blocks is None:
                self._masked_blocks = _plan_blocks(
                    self.segments, self.num_rows, self.device, only_own_queries=True
                )
            return self._masked_blocks
        if self._plain_blocks is None:
            self._plain_blocks = _plan_blocks(
                self.segments, self.num_rows, self.device, only_own_queries=False
            )
        return self._plain_blocks


def make_plan(segments: Sequence[Segment], num_rows: int, device: torch.device) -> PackedPlan:
    """Plan the attention of one packed row.

    Args:
        segments: they cover the rows 0 .. num_rows - 1, each row once; a prefix is itself a segment without
        prefix.
    Raises:
        AssertionError: they do not; packing is ours.
    """
    spans = sorted((segment.start, segment.end) for segment in segments)
    covered = 0
    for start, end in spans:
        assert start == covered < end, f"segments leave or share rows at {covered}: {start}..{end}"
        covered = end
    assert covered == num_rows, f"segments cover {covered} rows of {num_rows}"
    whole = {(segment.start, segment.end) for segment in segments if not _prefix_length(segment)}
    for segment in segments:
        prefix = (segment.prefix_start, segment.prefix_end)
        assert not _prefix_length(segment) or prefix in whole, (
            f"the prefix {prefix} is not a segment without prefix"
        )
    return PackedPlan(tuple(segments), num_rows, device)


def _prefix_length(segment: Segment) -> int:
    return segment.prefix_end - segment.prefix_start


def _plan_blocks(
    segments: Sequence[Segment], num_rows: int, device: torch.device, *, only_own_queries: bool
) -> BlockPlan:
    """Cut segments into blocks and note where each row's output will lie.

    A prompt whose rows are computed again in front of one of its completions needs no place of its own.
    """
    plain = [
        s
        for s in segments
        if not only_own_queries and _prefix_length(s) <= MAX_PREFIX_RATIO * (s.end - s.start)
    ]
    covered = {(s.prefix_start, s.prefix_end) for s in plain if _prefix_length(s)}
    plain = [s for s in plain if _prefix_length(s) or (s.start, s.end) not in covered]
    kept = set(plain)
    masked = [s for s in segments if s not in kept and (s.start, s.end) not in covered]
    output_T = np.full(num_rows, -1, dtype=np.int64)
    blocks: list[Block] = []
    offset = 0
    for group, own in [(plain, False), (masked, True)]:
        for members in _similar_lengths(group):
            block = _make_block(members, output_T, offset, own_queries=own)
            blocks.append(_to_device(block, device))
            offset += block.num_queries
    assert output_T.min() >= 0, "a row has no place in any block"
    return BlockPlan(tuple(blocks), torch.from_numpy(output_T).to(device))


def _similar_lengths(segments: Iterable[Segment]) -> Iterable[list[Segment]]:
    """Groups of segments, longest first, that waste little when padded to the longest of the group."""
    members: list[Segment] = []
    filled = longest = 0
    for segment in sorted(segments, key=lambda s: s.end - s.start + _prefix_length(s), reverse=True):
        length = segment.end - segment.start + _prefix_length(segment)
        if members:
            rows = longest * (len(members) + 1)
            wasteful = rows - filled - length > MAX_PADDING_FRAC * rows and rows > MIN_BLOCK_ROWS
            if wasteful or rows > MAX_BLOCK_ROWS:
                yield members
                members, filled, longest = [], 0, 0
        members.append(segment)
        filled += length
        longest = max(longest, length)
    if members:
        yield members


def _make_block(members: Sequence[Segment], output_T: np.ndarray, offset: int, *, own_queries: bool) -> Block:
    """One block, its rows padded with each segment's first key; writes the places of its rows into
    `output_T`.
    """
    prefixes = [_prefix_length(s) for s in members]
    lengths = [s.end - s.start for s in members]
    num_keys = max(p + n for p, n in zip(prefixes, lengths, strict=True))
    num_queries = max(lengths) if own_queries else num_keys
    key_rows_BL = np.empty((len(members), num_keys), dtype=np.int64)
    query_rows_BQ = np.empty((len(members), num_queries), dtype=np.int64)
    for b, (segment, prefix, length) in enumerate(zip(members, prefixes, lengths, strict=True)):
        first = segment.prefix_start if prefix else segment.start
        key_rows_BL[b] = first
        key_rows_BL[b, :prefix] = np.arange(segment.prefix_start, segment.prefix_end)
        key_rows_BL[b, prefix : prefix + length] = np.arange(segment.start, segment.end)
        at = offset + b * num_queries
        if own_queries:
            query_rows_BQ[b] = segment.start
            query_rows_BQ[b, :length] = np.arange(segment.start, segment.end)
            output_T[segment.start : segment.end] = np.arange(at, at + length)
        else:
            output_T[key_rows_BL[b, : prefix + length]] = np.arange(at, at + prefix + length)
    return Block(
        torch.from_numpy(key_rows_BL),
        torch.from_numpy(query_rows_BQ) if own_queries else None,
        torch.tensor(prefixes),
    )


def _to_device(block: Block, device: torch.device) -> Block:
    queries = block.query_rows_BQ
    return Block(
        block.key_rows_BL.to(device),
        None if queries is None else queries.to(device),
        block.prefix_B.to(device),
    )


def _gather(rows_TKD: Tensor, rows_BL: Tensor) -> Tensor:
    """(B, K, L, D): the rows of a block."""
    picked = rows_TKD.index_select(0, rows_BL.flatten())
    return picked.unflatten(0, rows_BL.shape).transpose(1, 2)
