"""The cache: what is stored where, copies, memory."""

import pytest
import torch

from dunwu.errors import ModelError
from dunwu.models import kv_cache
from dunwu.models.kv_cache import CacheSize, KvCache

SIZE = CacheSize(num_prompts=2, prompt_tokens=5, num_slots=3, slot_tokens=4)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filled(dtype=torch.float32):
    """A cache whose layer 7 holds two tokens of a prompt in place 1."""
    cache = KvCache(SIZE)
    key, value = random(2, 4, 8).to(dtype), random(2, 4, 6, seed=1).to(dtype)
    cache.store_prompts(7, torch.tensor([1, 1]), torch.tensor([0, 1]), key, value)
    return cache, key, value


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prompts_lie_in_their_places(dtype):
    cache, key, value = filled(dtype)
    store = cache.layer(7)
    assert store.prompt_key_PKLD.shape == (2, 4, 5, 8)
    assert store.prompt_value_PKLE.shape == (2, 4, 5, 6)
    assert store.key_SKLD.shape == (3, 4, 4, 8)
    assert store.value_SKLE.shape == (3, 4, 4, 6)
    assert store.prompt_key_PKLD.dtype == store.value_SKLE.dtype == dtype
    torch.testing.assert_close(store.prompt_key_PKLD[1, :, :2].transpose(0, 1), key)
    torch.testing.assert_close(store.prompt_value_PKLE[1, :, :2].transpose(0, 1), value)
    for part in (
        store.prompt_key_PKLD[0],
        store.prompt_value_PKLE[1, :, 2:],
        store.key_SKLD,
        store.value_SKLE,
    ):
        assert not part.any(), "what is not written is zero"


def test_slots_are_copied_as_far_as_they_are_used():
    cache, _, _ = filled()
    store = cache.layer(7)
    store.key_SKLD.copy_(random(*store.key_SKLD.shape, seed=2))
    store.value_SKLE.copy_(random(*store.value_SKLE.shape, seed=3))
    keys, values = store.key_SKLD.clone(), store.value_SKLE.clone()
    cache.copy_slots([2], [0], 3)
    torch.testing.assert_close(store.key_SKLD[0, :, :3], keys[2, :, :3])
    torch.testing.assert_close(store.value_SKLE[0, :, :3], values[2, :, :3])
    torch.testing.assert_close(store.key_SKLD[0, :, 3:], keys[0, :, 3:])
    torch.testing.assert_close(store.key_SKLD[1:], keys[1:])


def test_bytes():
    cache, _, _ = filled()
    assert cache.num_bytes == 4 * 4 * (8 + 6) * (2 * 5 + 3 * 4)
    assert KvCache(SIZE).num_bytes == 0


@pytest.mark.parametrize("sizes", [(0, 5, 3, 4), (2, 0, 3, 4), (2, 5, 0, 4), (2, 5, 3, 0)])
def test_impossible_sizes(sizes):
    with pytest.raises(ValueError, match="each size must be at least 1"):
        KvCache(CacheSize(*sizes))


def test_no_memory_names_the_settings(monkeypatch):
    def fail(*_, **__):
        raise MemoryError("cannot allocate")

    monkeypatch.setattr(kv_cache, "_zeros", fail)
    with pytest.raises(
        ModelError, match=r"no memory for a KV cache of CacheSize.*num_slots=3.*max_sequences"
    ):
        filled()
