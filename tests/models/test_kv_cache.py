"""The cache: what is stored where, copies, and the attention of one decode step written out."""

import pytest
import torch

from dunwu.errors import ModelError
from dunwu.models import kv_cache
from dunwu.models.attention import LayerAttention
from dunwu.models.kv_cache import DecodeContext, KvCache, prefill_stores

LAYER = LayerAttention(0, 0.4)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_stores_of_prompts():
    rows, slots, positions = prefill_stores([2, 3], [[4], [0, 7]])
    assert rows.tolist() == [0, 1, 2, 3, 4, 2, 3, 4]
    assert slots.tolist() == [4, 4, 0, 0, 0, 7, 7, 7]
    assert positions.tolist() == [0, 1, 0, 1, 2, 0, 1, 2]


def test_store_and_copy():
    cache = KvCache(3, 5)
    key, value = random(2, 4, 8), random(2, 4, 6, seed=1)
    cache.store(7, torch.tensor([1, 1]), torch.tensor([0, 1]), key, value)
    cache.copy([1], [0], 1)
    assert cache.keys(7).shape == (3, 4, 5, 8)
    assert cache.values(7).shape == (3, 4, 5, 6)
    torch.testing.assert_close(cache.keys(7)[1, :, :2].transpose(0, 1), key)
    torch.testing.assert_close(cache.values(7)[1, :, :2].transpose(0, 1), value)
    torch.testing.assert_close(cache.keys(7)[0, :, 0], key[0])
    assert not cache.keys(7)[0, :, 1].any(), "only the first position is copied"
    assert cache.num_bytes == 4 * 3 * 4 * 5 * (8 + 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_is_of_the_dtype_and_starts_at_zero(dtype):
    cache = KvCache(2, 3)
    cache.store(0, torch.tensor([0]), torch.tensor([0]), random(1, 1, 4).to(dtype), random(1, 1, 4).to(dtype))
    assert cache.keys(0).dtype == dtype
    assert not cache.values(0)[1].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer", [LAYER, LayerAttention(0, 0.4, 3), LayerAttention(0, 0.4, 50, 0.6)])
def test_a_decode_step_written_out(layer, dtype):
    """Slots with 4, 1 and 6 tokens, the new one included; four query heads on two key heads."""
    lengths = [4, 1, 6]
    keys, values = random(3, 6, 2, 8, seed=1).to(dtype), random(3, 6, 2, 5, seed=2).to(dtype)
    query = random(3, 4, 8, seed=3).to(dtype)
    cache = KvCache(4, 9)
    for slot, length in enumerate(lengths):
        for position in range(length - 1):
            cache.store(
                0,
                torch.tensor([slot]),
                torch.tensor([position]),
                keys[slot, position, None],
                values[slot, position, None],
            )
    last = torch.tensor(lengths) - 1
    context = DecodeContext(cache, last, 6)
    rows = torch.arange(3)
    output = context.attend(query, keys[rows, last], values[rows, last], layer)
    for slot, length in enumerate(lengths):
        first = max(0, length - layer.sliding_window) if layer.sliding_window else 0
        for head in range(4):
            scores = layer.scale * keys[slot, first:length, head // 2].float() @ query[slot, head].float()
            if layer.softcap:
                scores = layer.softcap * torch.tanh(scores / layer.softcap)
            expected = torch.softmax(scores, 0) @ values[slot, first:length, head // 2].float()
            tolerance = 1e-5 if dtype == torch.float32 else 0.03
            torch.testing.assert_close(output[slot, head].float(), expected, atol=tolerance, rtol=tolerance)


def test_what_lies_behind_a_sequence_does_not_matter():
    """A slot keeps the keys of the sequence that had it before."""
    outputs = []
    for rubbish in (0.0, 1e4):
        cache = KvCache(1, 6)
        cache.store(
            0,
            torch.zeros(6, dtype=torch.int64),
            torch.arange(6),
            torch.full((6, 1, 4), rubbish),
            torch.full((6, 1, 4), rubbish),
        )
        cache.store(0, torch.tensor([0]), torch.tensor([0]), random(1, 1, 4), random(1, 1, 4, seed=1))
        context = DecodeContext(cache, torch.tensor([1]), 2)
        outputs.append(
            context.attend(random(1, 1, 4), random(1, 1, 4, seed=2), random(1, 1, 4, seed=3), LAYER)
        )
    torch.testing.assert_close(outputs[0], outputs[1], atol=0, rtol=0)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_impossible_sizes(sizes):
    with pytest.raises(ValueError, match="both must be at least 1"):
        KvCache(*sizes)


def test_no_memory_names_the_settings(monkeypatch):
    def fail(*_, **__):
        raise MemoryError("cannot allocate")

    monkeypatch.setattr(kv_cache, "_zeros", fail)
    with pytest.raises(
        ModelError, match=r"no memory for a KV cache of 2 sequences x 3 tokens .*max_sequences"
    ):
        KvCache(2, 3).store(0, torch.tensor([0]), torch.tensor([0]), random(1, 1, 4), random(1, 1, 4))
