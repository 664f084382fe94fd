"""Our loops in C against the attention written out in float64, and against torch's way of the same plan."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from dunwu.kernels.build import library
from dunwu.models import packed_kernel, packed_plan
from dunwu.models.attention import LayerAttention
from dunwu.models.packed_kernel import attend_tiles, cut_tiles, kernels_for
from dunwu.models.packed_plan import make_plan
from dunwu.records import Segment

pytestmark = pytest.mark.skipif(library() is None, reason="there are no kernels here")

CPU = torch.device("cpu")
SIZES = [
    (4, 2, 8, 5),
    (3, 3, 32, 32),
    (9, 3, 64, 64),
    (4, 1, 128, 128),
    (2, 2, 33, 47),
    (71, 1, 16, 16),
    (1, 1, 1, 1),
]
"""Query heads, key heads, head size of queries and of values."""
ROW = (
    Segment(0, 1),
    Segment(1, 46),
    Segment(46, 91, 1, 46),
    Segment(91, 92, 1, 46),
    Segment(92, 160),
    Segment(160, 187, 1, 46),
    Segment(187, 188, 0, 1),
)
ALONE = (Segment(0, 1),)
LONG = (Segment(0, 1030), Segment(1030, 1100, 0, 1030))


def rows_of(segments):
    return max(segment.end for segment in segments)


def draw(num_rows, sizes, seed=0, dtype=torch.float32):
    """Queries, keys, values, and a gradient of the output."""
    heads, key_heads, size, value_size = sizes
    generator = torch.Generator().manual_seed(seed)
    shapes = [(heads, size), (key_heads, size), (key_heads, value_size), (heads, value_size)]
    return [torch.randn(num_rows, *shape, generator=generator).to(dtype) for shape in shapes]


def written_out(query, key, value, segments, layer):
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    outputs = []
    for segment in sorted(segments, key=lambda s: s.start):
        rows = [*range(segment.prefix_start, segment.prefix_end), *range(segment.start, segment.end)]
        scores = torch.einsum("thd,shd->hts", query[segment.start : segment.end], key[rows]) * layer.scale
        if layer.softcap:
            scores = layer.softcap * torch.tanh(scores / layer.softcap)
        age = torch.arange(len(rows) - scores.shape[1], len(rows))[:, None] - torch.arange(len(rows))
        hidden = (age < 0) | (age >= (layer.sliding_window or len(rows)))
        weights = torch.softmax(scores.masked_fill(hidden, -torch.inf), -1)
        outputs.append(torch.einsum("hts,she->the", weights, value[rows]))
    return torch.cat(outputs)


def output_and_gradients(attend, parts, d_output):
    leaves = [part.detach().clone().requires_grad_() for part in parts]
    output = attend(*leaves)
    output.backward(d_output)
    return [output.detach(), *(leaf.grad for leaf in leaves)]


def by_kernel(parts, segments, layer):
    *inputs, d_output = parts
    tiles = cut_tiles(segments, len(d_output), inputs[0].shape[1] // inputs[1].shape[1])
    return output_and_gradients(lambda q, k, v: attend_tiles(q, k, v, tiles, layer), inputs, d_output)


def by_torch(parts, segments, layer, monkeypatch):
    *inputs, d_output = parts
    plan = make_plan(segments, len(d_output), CPU)
    with monkeypatch.context() as patch:
        patch.setattr(packed_plan, "kernels_for", lambda *parts: None)
        return output_and_gradients(lambda q, k, v: plan.attend(q, k, v, layer), inputs, d_output)


def exactly(parts, segments, layer):
    *inputs, d_output = [part.double() for part in parts]
    return output_and_gradients(lambda q, k, v: written_out(q, k, v, segments, layer), inputs, d_output)


def errors(results, exact):
    """Root mean squares in units of the exact result's, or of a tenth where that is next to nothing."""
    pairs = zip(results, exact, strict=True)
    return [
        float((a.double() - b).square().mean().sqrt() / (0.1 + b.square().mean().sqrt())) for a, b in pairs
    ]


def assert_as_exact_as_torch(parts, segments, layer, monkeypatch):
    exact = exactly(parts, segments, layer)
    ours = errors(by_kernel(parts, segments, layer), exact)
    theirs = errors(by_torch(parts, segments, layer, monkeypatch), exact)
    least = 5e-6 if parts[0].dtype == torch.float32 else 2e-3
    for mine, other in zip(ours, theirs, strict=True):
        assert mine <= max(3 * other, least)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("segments", [ROW, ALONE], ids=["row", "alone"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_against_float64(sizes, segments, dtype, monkeypatch):
    parts = draw(rows_of(segments), sizes, dtype=dtype)
    assert_as_exact_as_torch(parts, segments, LayerAttention(0, sizes[2] ** -0.5), monkeypatch)


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("window", [1, 3, 33, 64, 1000])
def test_windows_and_softcaps(window, softcap, monkeypatch):
    for sizes in [(6, 2, 16, 16), (2, 2, 40, 24)]:
        layer = LayerAttention(0, 0.7, window, softcap)
        assert_as_exact_as_torch(draw(rows_of(ROW), sizes), ROW, layer, monkeypatch)


def test_a_softcap_without_a_window(monkeypatch):
    layer = LayerAttention(0, 0.7, softcap=2.0)
    assert_as_exact_as_torch(draw(rows_of(ROW), (6, 2, 16, 16)), ROW, layer, monkeypatch)


@pytest.mark.parametrize("window", [None, 100])
def test_a_long_segment_of_several_units(window, monkeypatch):
    assert len(cut_tiles(LONG, 1100, 2).units) == 3
    assert_as_exact_as_torch(draw(1100, (4, 2, 16, 16)), LONG, LayerAttention(0, 0.25, window), monkeypatch)


def test_large_scores(monkeypatch):
    """Weights of nearly all or nearly nothing, and exponents far out of range."""
    query, *others = draw(rows_of(ROW), (2, 1, 32, 32))
    assert_as_exact_as_torch([query * 300, *others], ROW, LayerAttention(0, 1.0), monkeypatch)


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_units_cover_a_segment_and_have_like_work(parts, monkeypatch):
    monkeypatch.setattr(packed_kernel, "UNIT_ROWS", 400)
    length = 400 * parts + 30
    cut = packed_kernel._units(length, 100)
    assert [start for start, _ in cut] == [0, *(end for _, end in cut[:-1])]
    assert cut[-1][1] == length
    assert len(cut) == parts
    work = [sum(range(100 + start, 100 + end)) for start, end in cut]
    assert max(work) < 1.02 * min(work)


def test_shares_of_a_row_are_all_places_that_hold_it():
    tiles = cut_tiles(LONG, 1100, 1)
    rows = tiles.key_rows_N
    for row in (0, 700, 1029, 1030, 1099):
        places = tiles.share_places[tiles.share_begin[row] : tiles.share_begin[row + 1]]
        assert places.tolist() == (rows == row).nonzero()[:, 0].tolist()
    assert int(tiles.share_begin[-1]) == int((rows < 1100).sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_thread_and_two_give_the_same_bits(dtype):
    parts = draw(1100, (6, 3, 32, 32), dtype=dtype)
    results = []
    threads = torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        try:
            results.append(by_kernel(parts, LONG, LayerAttention(0, 0.2)))
        finally:
            torch.set_num_threads(threads)
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, atol=0, rtol=0)


def test_any_layout_gives_the_same_bits():
    parts = draw(rows_of(ROW), (6, 3, 32, 32))
    layer = LayerAttention(0, 0.2)
    other = [part.transpose(0, 1).contiguous().transpose(0, 1) for part in parts]
    wide = [torch.cat([part, part], -1)[..., : part.shape[-1]] for part in parts]
    expected = by_kernel(parts, ROW, layer)
    for layout in (other, wide):
        assert not layout[0].is_contiguous()
        *inputs, d_output = layout
        tiles = cut_tiles(ROW, rows_of(ROW), 2)
        results = output_and_gradients(
            lambda q, k, v, tiles=tiles: attend_tiles(q * 1, k * 1, v * 1, tiles, layer), inputs, d_output
        )
        for result, value in zip(results, expected, strict=True):
            torch.testing.assert_close(result, value, atol=0, rtol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_in_its_segment(bad):
    query, key, value, d_output = draw(rows_of(ROW), (2, 1, 16, 16))
    key[100] = value[100] = bad
    results = by_kernel([query, key, value, d_output], ROW, LayerAttention(0, 0.25))
    touched = torch.zeros(rows_of(ROW), dtype=torch.bool)
    touched[92:160] = True
    for result in results:
        assert result[~touched].isfinite().all()
    assert not results[0][100:160].isfinite().any()
    assert not results[1][100:160].isfinite().any()


def test_without_gradients_the_same_bits():
    query, key, value, _ = draw(rows_of(ROW), (4, 2, 32, 32))
    tiles = cut_tiles(ROW, rows_of(ROW), 2)
    expected = attend_tiles(query.requires_grad_(), key, value, tiles, LayerAttention(0, 0.2))
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            output = attend_tiles(query, key, value, tiles, LayerAttention(0, 0.2))
        assert not output.requires_grad
        torch.testing.assert_close(output, expected.detach(), atol=0, rtol=0)


def test_recomputing_changes_nothing():
    *inputs, d_output = parts = draw(rows_of(ROW), (4, 2, 32, 32))
    tiles = cut_tiles(ROW, rows_of(ROW), 2)
    layer = LayerAttention(0, 0.2)
    again = output_and_gradients(
        lambda q, k, v: checkpoint(lambda *p: attend_tiles(*p, tiles, layer), q, k, v, use_reentrant=False),
        inputs,
        d_output,
    )
    for result, expected in zip(again, by_kernel(parts, ROW, layer), strict=True):
        torch.testing.assert_close(result, expected, atol=0, rtol=0)


def test_only_the_logsumexp_is_kept_besides_what_lies_there_anyway():
    query, key, value, _ = draw(rows_of(ROW), (4, 2, 32, 32))
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.setdefault(t.data_ptr(), t), lambda t: t):
        output = attend_tiles(
            query.requires_grad_(), key, value, cut_tiles(ROW, len(query), 2), LayerAttention(0, 0.2)
        )
    (lse,) = [t for at, t in kept.items() if at not in {p.data_ptr() for p in (query, key, value, output)}]
    assert lse.shape == (len(query), 4)


@pytest.mark.parametrize(
    ("dtypes", "sizes"),
    [
        ((torch.float64,) * 3, (4, 2, 8, 8)),
        ((torch.float16,) * 3, (4, 2, 8, 8)),
        ((torch.bfloat16, torch.float32, torch.float32), (4, 2, 8, 8)),
        ((torch.float32,) * 3, (4, 2, 257, 8)),
        ((torch.float32,) * 3, (4, 2, 8, 257)),
        ((torch.float32,) * 3, (129, 1, 8, 8)),
    ],
)
def test_what_the_kernels_do_not_take(dtypes, sizes):
    parts = [part.to(dtype) for part, dtype in zip(draw(3, sizes)[:3], dtypes, strict=True)]
    assert kernels_for(*parts) is None
    assert kernels_for(*draw(3, (4, 2, 8, 8))[:3]) is not None


def test_the_plan_cuts_once_for_all_layers_and_takes_the_kernel(monkeypatch):
    plan = make_plan(ROW, rows_of(ROW), CPU)
    seen = []
    monkeypatch.setattr(packed_plan, "attend_tiles", lambda q, k, v, tiles, layer: seen.append(tiles) or q)
    for sizes in [(4, 2, 8, 8), (6, 3, 8, 8), (4, 4, 8, 8)]:
        plan.attend(*draw(rows_of(ROW), sizes)[:3], LayerAttention(0, 1.0))
    assert seen[0] is seen[1]
    assert seen[2] is not seen[0]
