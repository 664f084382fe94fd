"""Pieces of a block: together they are the whole mask, and none is large."""

import pytest
import torch

from dunwu.models import pieces
from dunwu.models.pieces import cut_pieces

PREFIX = torch.tensor([3, 0, 5])
NUM_QUERIES, NUM_KEYS = 7, 11


def whole_mask(window):
    mask = torch.zeros(3, NUM_QUERIES, NUM_KEYS, dtype=torch.bool)
    for b, prefix in enumerate(PREFIX.tolist()):
        for i in range(NUM_QUERIES):
            at = min(prefix + i, NUM_KEYS - 1)
            mask[b, i, max(0, at + 1 - window) if window else 0 : at + 1] = True
    return mask


@pytest.mark.parametrize("window", [None, 1, 4])
@pytest.mark.parametrize("cells", [1, 40, 80, 1000])
def test_the_pieces_are_the_mask(window, cells, monkeypatch):
    monkeypatch.setattr(pieces, "MAX_BIAS_CELLS", cells)
    monkeypatch.setattr(pieces, "_MIN_WINDOW_STEP", 2)
    mask = torch.zeros(3, NUM_QUERIES, NUM_KEYS, dtype=torch.bool)
    for piece in cut_pieces(PREFIX, NUM_QUERIES, NUM_KEYS, window, torch.float32):
        assert piece.bias_BQL.numel() <= max(cells, NUM_KEYS)
        mask[piece.batch, piece.queries, piece.keys] |= piece.bias_BQL == 0
        assert piece.bias_BQL.dtype == torch.float32
    torch.testing.assert_close(mask, whole_mask(window))


def test_keys_out_of_a_window_are_left_out(monkeypatch):
    monkeypatch.setattr(pieces, "_MIN_WINDOW_STEP", 2)
    prefix = torch.tensor([0])
    spans = [(p.keys.start, p.keys.stop) for p in cut_pieces(prefix, 8, 8, 2, torch.bfloat16)]
    assert spans == [(0, 2), (1, 4), (3, 6), (5, 8)]
