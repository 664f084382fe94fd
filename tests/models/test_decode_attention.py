"""One decode step written out, for prompts that are shared unevenly."""

import pytest
import torch

from dunwu.models.attention import LayerAttention
from dunwu.models.decode_attention import DecodeContext, Running
from dunwu.models.kv_cache import CacheSize, KvCache

CPU = torch.device("cpu")
PLACES = [2, 0, 2, 2, 1]
"""Slots 0, 2 and 3 continue the prompt in place 2."""
PROMPT_LENGTHS = {0: 4, 1: 1, 2: 6}
OWN = [0, 3, 1, 2, 5]
"""Tokens that each sequence has added before the new one."""
LAYERS = [
    LayerAttention(0, 0.4),
    LayerAttention(0, 0.4, 3),
    LayerAttention(0, 0.4, 1),
    LayerAttention(0, 0.4, 50, 0.6),
]


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def fill(dtype, rubbish=0.0):
    """A cache with all that the sequences have; `rubbish` lies behind prompts and sequences."""
    cache = KvCache(CacheSize(3, 9, 5, 8))
    prompts = {
        p: (random(n, 2, 8, seed=p, dtype=dtype), random(n, 2, 5, seed=9 + p, dtype=dtype))
        for p, n in PROMPT_LENGTHS.items()
    }
    own = [
        (random(n + 1, 2, 8, seed=20 + s, dtype=dtype), random(n + 1, 2, 5, seed=30 + s, dtype=dtype))
        for s, n in enumerate(OWN)
    ]
    for place, (key, value) in prompts.items():
        rows = torch.full((len(key),), place), torch.arange(len(key))
        cache.store_prompts(0, *rows, key, value)
    store = cache.layer(0)
    for part in (store.prompt_key_PKLD, store.prompt_value_PKLE, store.key_SKLD, store.value_SKLE):
        part[part == 0] = rubbish
    for slot, (key, value) in enumerate(own):
        store.key_SKLD[slot, :, : len(key) - 1] = key[:-1].transpose(0, 1)
        store.value_SKLE[slot, :, : len(key) - 1] = value[:-1].transpose(0, 1)
    return cache, prompts, own


def step(cache, own, layer, dtype):
    running = Running.of(PLACES, [PROMPT_LENGTHS[p] for p in PLACES], CPU)
    context = DecodeContext(cache, running, torch.tensor(OWN))
    query = random(5, 4, 8, seed=40, dtype=dtype)
    keys, values = torch.stack([k[-1] for k, _ in own]), torch.stack([v[-1] for _, v in own])
    return query, context.attend(query, keys, values, layer), context


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer", LAYERS)
def test_written_out(layer, dtype):
    cache, prompts, own = fill(dtype)
    query, output, _ = step(cache, own, layer, dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    for slot, place in enumerate(PLACES):
        key = torch.cat([prompts[place][0], own[slot][0]]).float()
        value = torch.cat([prompts[place][1], own[slot][1]]).float()
        first = max(0, len(key) - layer.sliding_window) if layer.sliding_window else 0
        for head in range(4):
            scores = layer.scale * key[first:, head // 2] @ query[slot, head].float()
            if layer.softcap:
                scores = layer.softcap * torch.tanh(scores / layer.softcap)
            expected = torch.softmax(scores, 0) @ value[first:, head // 2]
            torch.testing.assert_close(output[slot, head].float(), expected, atol=tolerance, rtol=tolerance)


def test_what_lies_behind_does_not_matter():
    """Places and slots keep what was in them before."""
    outputs = []
    for rubbish in (0.0, 1e4):
        cache, _, own = fill(torch.float32, rubbish)
        outputs.append(step(cache, own, LAYERS[0], torch.float32)[1])
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-6, rtol=0)


def test_the_new_token_is_kept():
    cache, _, own = fill(torch.float32)
    step(cache, own, LAYERS[0], torch.float32)
    store = cache.layer(0)
    for slot, (key, value) in enumerate(own):
        torch.testing.assert_close(store.key_SKLD[slot, :, OWN[slot]], key[-1])
        torch.testing.assert_close(store.value_SKLE[slot, :, OWN[slot]], value[-1])


def test_biases_are_made_once_per_window():
    cache, _, own = fill(torch.float32)
    _, _, context = step(cache, own, LAYERS[0], torch.float32)
    assert context._bias(3) is context._bias(3)
    assert context._bias(3) is not context._bias(None)


def test_seats():
    running = Running.of(PLACES, [6, 4, 6, 6, 1], CPU)
    assert running.members_PM.tolist() == [[1, 0, 0], [4, 0, 0], [0, 2, 3]]
    assert running.seats_B.tolist() == [6, 0, 7, 8, 3]
    assert running.members_PM.flatten()[running.seats_B].tolist() == [0, 1, 2, 3, 4]
    assert running.longest_prompt == 6


def test_a_free_place_between_others():
    running = Running.of([3, 1], [2, 5], CPU)
    assert running.members_PM.tolist() == [[0], [1], [0], [0]]
    assert running.seats_B.tolist() == [3, 1]
