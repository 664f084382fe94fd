"""The kernels of a decode step beside the same sums in float64, for shapes on and off the beaten track."""

import math

import pytest
import torch
from torch import nn
from transformers.activations import ACT2FN

from dunwu.kernels.build import explain, library
from dunwu.models.attention import LayerAttention
from dunwu.models.decode_attention import DecodeContext, Running
from dunwu.models.decode_kernels import DecodeKernels, HeadShape, decode_kernels
from dunwu.models.kv_cache import CacheSize, KvCache
from dunwu.models.lean_kernels import is_silu

PLACES = [1, 0, 1, 1, 0]
PROMPT_LENGTHS = {0: 37, 1: 3}
OWN = [0, 70, 31, 32, 5]
EPS = 1e-3
SHAPES = [HeadShape(*heads, size) for heads, size in [
    ((4, 4), 32), ((9, 3), 64), ((2, 1), 8), ((14, 2), 128), ((5, 1), 24), ((4, 1), 256), ((16, 1), 40),
]]  # fmt: skip
DTYPES = [torch.float32, torch.bfloat16]


pytestmark = pytest.mark.skipif(library() is None, reason=f"no kernels: {explain()}")


@pytest.fixture
def kernels():
    return DecodeKernels(library())


def random(*shape, seed, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def filled_cache(shape, dtype):
    """What prompts and sequences have, and not-a-number in every place behind it."""
    cache = KvCache(CacheSize(2, 40, len(PLACES) + 1, 80))
    for place, length in PROMPT_LENGTHS.items():
        rows = torch.full((length,), place), torch.arange(length)
        parts = (
            random(length, shape.num_keys, shape.size, seed=seed + place, dtype=dtype) for seed in (1, 3)
        )
        cache.store_prompts(0, *rows, *parts)
    store = cache.layer(0)
    for place, length in PROMPT_LENGTHS.items():
        for part in (store.prompt_key_PKLD, store.prompt_value_PKLE):
            part[place, :, length:] = math.nan
    for part, seed in ((store.key_SKLD, 5), (store.value_SKLE, 6)):
        part.copy_(random(*part.shape, seed=seed, dtype=dtype))
        for slot, own in enumerate(OWN):
            part[slot, :, own:] = math.nan
    return cache


def rotated(head, cos, sin, norm):
    """A head in float64, rotated by halves."""
    head = head.double()
    if norm is not None:
        head = norm.double() * head / (head.square().mean(-1, keepdim=True) + EPS).sqrt()
    low, high = head.chunk(2, -1)
    return head * cos.double() + torch.cat([-high, low], -1) * sin.double()


def expected(heads, cos, sin, norm, shape, cache, layer):
    """Each sequence by itself, in float64; the cache as it was before the step."""
    store = cache.layer(0)
    outputs = []
    for b, own in enumerate(OWN):
        place, outputs_of_heads = PLACES[b], []
        query, key, value = heads[b].split([shape.num_queries, shape.num_keys, shape.num_keys])
        turned = [
            rotated(part, cos[b], sin[b], None if norm is None else rows)
            for part, rows in ((query, norm[: shape.num_queries] if norm is not None else None),
                               (key, norm[shape.num_queries :] if norm is not None else None))
        ]  # fmt: skip
        for h in range(shape.num_queries):
            k = h // (shape.num_queries // shape.num_keys)
            length = PROMPT_LENGTHS[place]
            keys = [store.prompt_key_PKLD[place, k, :length], store.key_SKLD[b, k, :own]]
            values = [
                store.prompt_value_PKLE[place, k, :length],
                store.value_SKLE[b, k, :own],
                value[k : k + 1],
            ]
            all_keys = torch.cat([part.double() for part in keys] + [turned[1][k : k + 1]])
            all_values = torch.cat([part.double() for part in values])
            if layer.sliding_window:
                all_keys, all_values = all_keys[-layer.sliding_window :], all_values[-layer.sliding_window :]
            weights = torch.softmax(layer.scale * all_keys @ turned[0][h], 0)
            outputs_of_heads.append(weights @ all_values)
        outputs.append(torch.cat(outputs_of_heads))
    return torch.stack(outputs)


def one_step(kernels, shape, dtype, window=None, head_norm=False, scale=1.0, edit=lambda heads: None):
    """The output, what it should be, and the cache after the step with the heads that were given."""
    heads = random(len(PLACES), shape.num_queries + 2 * shape.num_keys, shape.size, seed=7, dtype=dtype)
    edit(heads)
    angles = random(len(PLACES), shape.size // 2, seed=8).repeat(1, 2)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    norm = random(shape.num_queries + shape.num_keys, shape.size, seed=9, dtype=dtype) if head_norm else None
    cache, layer = filled_cache(shape, dtype), LayerAttention(0, scale * shape.size**-0.5, window)
    should_be = expected(heads, cos, sin, norm, shape, cache, layer)
    running = Running.of(PLACES, [PROMPT_LENGTHS[p] for p in PLACES], torch.device("cpu"))
    context = DecodeContext(cache, running, torch.tensor(OWN))
    given = None if norm is None else (norm, EPS)
    output = kernels.attend(heads.flatten(1), (cos, sin), given, shape, context, layer)
    return output, should_be, cache, heads


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head_norm", [False, True])
@pytest.mark.parametrize("window", [None, 1, 4, 36, 1000])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_attention_is_that_of_float64(shape, window, head_norm, dtype, kernels):
    output, should_be, _, _ = one_step(kernels, shape, dtype, window, head_norm)
    tolerance = 2e-5 if dtype == torch.float32 else 0.03
    assert (output.double() - should_be).abs().max() < tolerance


@pytest.mark.parametrize("dtype", DTYPES)
def test_keys_and_values_go_to_their_place_and_nowhere_else(dtype, kernels):
    shape = SHAPES[1]
    _, _, cache, heads = one_step(kernels, shape, dtype)
    before, after = filled_cache(shape, dtype).layer(0), cache.layer(0)
    for slot, own in enumerate(OWN):
        assert torch.equal(after.value_SKLE[slot, :, own], heads[slot, -shape.num_keys :])
        assert not after.key_SKLD[slot, :, own].isnan().any()
        after.value_SKLE[slot, :, own] = after.key_SKLD[slot, :, own] = math.nan
    for name in ("key_SKLD", "value_SKLE", "prompt_key_PKLD", "prompt_value_PKLE"):
        assert torch.equal(getattr(after, name).nan_to_num(9), getattr(before, name).nan_to_num(9)), name


def test_large_scores_do_not_overflow_and_a_nan_stays_with_its_sequence(kernels):
    output, should_be, _, _ = one_step(kernels, SHAPES[0], torch.float32, scale=2000.0)
    assert (output.double() - should_be).abs().max() < 1e-2

    def spoil(heads):
        heads[2, 0, 3] = math.nan

    output, _, _, _ = one_step(kernels, SHAPES[0], torch.float32, edit=spoil)
    spoilt = output.isnan().view(len(PLACES), SHAPES[0].num_queries, -1).any(-1)
    assert spoilt.nonzero().tolist() == [[2, 0]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_number_of_threads_changes_no_bit(dtype, kernels):
    threads = torch.get_num_threads()
    outputs = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            outputs.append(one_step(kernels, SHAPES[1], dtype)[0])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (65, 576), (2, 4096)])
def test_sum_and_norm(shape, dtype, kernels):
    hidden, delta = random(*shape, seed=1, dtype=dtype), random(*shape, seed=2, dtype=dtype)
    weight = random(shape[1], seed=3, dtype=dtype)
    total = hidden + delta
    wide = total.double()
    should_be = weight.double() * wide / (wide.square().mean(-1, keepdim=True) + EPS).sqrt()
    kept = hidden.clone()
    assert torch.allclose(
        kernels.add_and_norm(kept, None, weight, EPS), kernels.add_and_norm(hidden, delta * 0, weight, EPS)
    )
    normed = kernels.add_and_norm(hidden, delta, weight, EPS)
    assert torch.equal(hidden, total)
    tolerance = {"rtol": 1e-6, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 2**-7, "atol": 1e-6}
    assert torch.allclose(normed.double(), should_be, **tolerance)
    hidden[0, 0] = math.inf
    assert kernels.add_and_norm(hidden, None, weight, EPS)[0, 0].isnan()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 9, 384])
def test_gated_product(size, dtype, kernels):
    both = 5 * random(3, 2 * size, seed=4, dtype=dtype)
    both[0, 0], both[1, 0], both[2, 0] = 200, -200, math.nan
    gate, up = both.double().chunk(2, -1)
    should_be = nn.functional.silu(gate) * up
    tolerance = {"rtol": 1e-6, "atol": 1e-30} if dtype == torch.float32 else {"rtol": 2**-7, "atol": 1e-30}
    product = kernels.gated(both).double()
    assert torch.allclose(product, should_be, equal_nan=True, **tolerance)


def test_what_does_not_fit_is_left_to_torch():
    assert decode_kernels(HeadShape(9, 3, 64), torch.bfloat16) is not None
    assert decode_kernels(HeadShape(9, 3, 64), torch.float64) is None
    for shape in (HeadShape(9, 3, 4), HeadShape(17, 1, 64), HeadShape(1, 1, 264)):
        assert decode_kernels(shape, torch.float32) is None
    assert [name for name in ("silu", "swish", "gelu", "relu") if is_silu(ACT2FN[name])] == ["silu", "swish"]
