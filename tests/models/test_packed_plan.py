"""The plan: which rows lie in which block, and what happens with segments that are not a cover."""

import pytest
import torch

from dunwu.models import packed_plan, pieces
from dunwu.models.attention import LayerAttention
from dunwu.models.packed_plan import PackedPlan, make_plan
from dunwu.records import Segment

CPU = torch.device("cpu")
GROUP = (Segment(0, 4), Segment(4, 9, 0, 4), Segment(9, 12, 0, 4))
"""A prompt of 4 tokens and its completions of 5 and 3."""


def visible(segments, num_rows, window=None):
    """The T x T mask that the segments mean, written out row by row."""
    mask = torch.zeros(num_rows, num_rows, dtype=torch.bool)
    for segment in segments:
        keys = [*range(segment.prefix_start, segment.prefix_end), *range(segment.start, segment.end)]
        for row in range(segment.start, segment.end):
            at = keys.index(row)
            mask[row, keys[max(0, at + 1 - window) if window else 0 : at + 1]] = True
    return mask


def attend_written_out(query, key, value, mask, layer):
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = torch.einsum("thd,shd->hts", query, key) * layer.scale
    if layer.softcap:
        scores = layer.softcap * torch.tanh(scores / layer.softcap)
    weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), -1)
    return torch.einsum("hts,she->the", weights, value)


def random_segments(seed):
    """Prompts with completions and sequences without prompts, their rows in random order of segments."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high):
        return int(torch.randint(low, high, (1,), generator=generator))

    segments, end = [], 0
    for _ in range(draw(1, 6)):
        prompt = Segment(end, end + draw(1, 25))
        segments.append(prompt)
        end = prompt.end
        for _ in range(draw(0, 6)):
            segments.append(Segment(end, end + draw(1, 20), prompt.start, prompt.end))
            end = segments[-1].end
    order = torch.randperm(len(segments), generator=generator).tolist()
    return [segments[i] for i in order], end


@pytest.mark.parametrize("window", [None, 1, 3, 200])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kernels", [True, False])
def test_against_the_whole_mask(kernels, seed, window, monkeypatch):
    if not kernels:
        monkeypatch.setattr(packed_plan, "kernels_for", lambda *parts: None)
    monkeypatch.setattr(packed_plan, "MIN_BLOCK_ROWS", 8)
    segments, num_rows = random_segments(seed)
    plan = make_plan(segments, num_rows, CPU)
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (
        torch.randn(num_rows, h, e, generator=generator) for h, e in [(4, 8), (2, 8), (2, 5)]
    )
    for softcap in (None, 0.5):
        layer = LayerAttention(0, 0.5, window, softcap)
        expected = attend_written_out(query, key, value, visible(segments, num_rows, window), layer)
        torch.testing.assert_close(plan.attend(query, key, value, layer), expected, atol=1e-5, rtol=1e-5)


def blocks(plan: PackedPlan, *, masked: bool = False):
    return plan.blocks(masked=masked).blocks


def test_a_short_prompt_lies_in_front_of_each_completion():
    segments = (Segment(0, 2), Segment(2, 11, 0, 2), Segment(11, 19, 0, 2))
    (block,) = blocks(make_plan(segments, 19, CPU))
    assert block.query_rows_BQ is None
    assert block.key_rows_BL.tolist() == [[0, 1, *range(2, 11)], [0, 1, *range(11, 19), 0]]


def test_a_long_prompt_is_not_computed_again():
    segments = (Segment(0, 10), Segment(10, 12, 0, 10), Segment(12, 15, 0, 10))
    whole, own = blocks(make_plan(segments, 15, CPU))
    assert whole.key_rows_BL.tolist() == [list(range(10))]
    assert own.query_rows_BQ.tolist() == [[12, 13, 14], [10, 11, 10]]
    assert own.key_rows_BL.tolist() == [[*range(10), 12, 13, 14], [*range(10), 10, 11, 0]]
    assert own.prefix_B.tolist() == [10, 10]


def test_unlike_lengths_lie_in_different_blocks(monkeypatch):
    monkeypatch.setattr(packed_plan, "MIN_BLOCK_ROWS", 0)
    segments = [Segment(0, 100), Segment(100, 195), Segment(195, 215), Segment(215, 234)]
    shapes = [tuple(block.key_rows_BL.shape) for block in blocks(make_plan(segments, 234, CPU))]
    assert shapes == [(2, 100), (2, 20)]


def test_a_block_is_not_too_large(monkeypatch):
    monkeypatch.setattr(packed_plan, "MAX_BLOCK_ROWS", 50)
    segments = [Segment(start, start + 20) for start in range(0, 100, 20)]
    shapes = [tuple(block.key_rows_BL.shape) for block in blocks(make_plan(segments, 100, CPU))]
    assert shapes == [(2, 20), (2, 20), (1, 20)]


def test_blocks_are_planned_once():
    plan = make_plan(GROUP, 12, CPU)
    assert plan.blocks(masked=False) is plan.blocks(masked=False)
    assert plan.blocks(masked=True) is plan.blocks(masked=True)
    assert plan.blocks(masked=True) is not plan.blocks(masked=False)


def watch_biases(monkeypatch):
    seen = []
    monkeypatch.setattr(packed_plan, "kernels_for", lambda *parts: None)
    attend = pieces.masked_attention

    def watched(query, key, value, bias, **options):
        seen.append(bias)
        return attend(query, key, value, bias, **options)

    monkeypatch.setattr(pieces, "masked_attention", watched)
    return seen


def test_a_small_bias_is_made_once_for_all_layers(monkeypatch):
    seen = watch_biases(monkeypatch)
    plan = make_plan(GROUP, 12, CPU)
    heads = torch.zeros(12, 1, 4)
    for layer, window in enumerate([3, 3, 5]):
        plan.attend(heads, heads, heads, LayerAttention(layer, 1.0, window))
    assert seen[0] is seen[1]
    assert seen[1] is not seen[2]


def test_a_large_bias_is_made_in_parts_and_not_kept(monkeypatch):
    seen = watch_biases(monkeypatch)
    for module in (pieces, packed_plan):
        monkeypatch.setattr(module, "MAX_BIAS_CELLS", 64)
    plan = make_plan(GROUP, 12, CPU)
    heads = torch.zeros(12, 1, 4)
    for layer in range(2):
        plan.attend(heads, heads, heads, LayerAttention(layer, 1.0, softcap=1.0))
    assert len(seen) > 2
    assert max(bias.numel() for bias in seen) <= 64
    assert len({id(bias) for bias in seen}) == len(seen)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([Segment(0, 3)], "cover 3 rows of 5"),
        ([Segment(0, 3), Segment(4, 5)], "leave or share rows at 3"),
        ([Segment(0, 3), Segment(2, 5)], "leave or share rows at 3"),
        ([Segment(0, 0), Segment(0, 5)], "leave or share rows at 0"),
        ([Segment(0, 3), Segment(3, 5, 0, 2)], "prefix .0, 2. is not a segment"),
    ],
)
def test_segments_must_cover_the_row(segments, message):
    with pytest.raises(AssertionError, match=message):
        make_plan(segments, 5, CPU)
