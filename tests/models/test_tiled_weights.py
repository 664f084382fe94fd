"""Tiled weights give the same bits, only inside the context and only where they serve."""

import pytest
import torch
from torch import nn

from dunwu.models.tiled_weights import tiled_weights
from dunwu.records import GenerationRequest, SamplingParams
from dunwu.rollout.embedded import EmbeddedEngine

HAS_BFLOAT16 = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
needs_bfloat16 = pytest.mark.skipif(not HAS_BFLOAT16, reason="oneDNN has no bfloat16 kernels on this CPU")


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(48, 80), nn.SiLU(), nn.Linear(80, 33, bias=False)).to(torch.bfloat16)


@needs_bfloat16
@pytest.mark.parametrize("rows", [1, 5, 64, 200])
def test_same_bits(layers, rows):
    hidden = torch.randn(1, rows, 48, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    with torch.inference_mode():
        expected = layers(hidden)
        with tiled_weights(layers) as count:
            torch.testing.assert_close(layers(hidden), expected, atol=0, rtol=0)
    assert count == 2


@needs_bfloat16
def test_new_weights_are_seen_after_the_context(layers):
    hidden = torch.ones(1, 48, dtype=torch.bfloat16)
    with torch.inference_mode(), tiled_weights(layers):
        before = layers(hidden)
    with torch.no_grad():
        layers[2].weight.mul_(2)
    torch.testing.assert_close(layers(hidden), before * 2, atol=0, rtol=0)
    with torch.inference_mode(), tiled_weights(layers):
        torch.testing.assert_close(layers(hidden), before * 2, atol=0, rtol=0)


@needs_bfloat16
def test_the_layers_are_left_as_they_were_even_after_an_error(layers):
    with tiled_weights(layers):
        assert "forward" in vars(layers[0])
    with pytest.raises(RuntimeError, match="inner product"), tiled_weights(layers):
        layers(torch.ones(1, 47, dtype=torch.bfloat16))
    assert "forward" not in vars(layers[0])
    layers(torch.ones(1, 48, dtype=torch.bfloat16)).sum().backward()
    assert layers[0].weight.grad is not None


def test_float32_is_left_alone(layers):
    with tiled_weights(layers.float()) as count:
        assert count == 0
        assert "forward" not in vars(layers[0])


def test_without_kernels_nothing_is_tiled(layers, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with tiled_weights(layers) as count:
        assert count == 0


@needs_bfloat16
def test_the_engine_uses_them_and_samples_the_same(tiny_policy, random_ids, monkeypatch):
    policy = tiny_policy("llama", dtype=torch.bfloat16)
    request = [GenerationRequest(tuple(random_ids(6, 0)), (1, 2))]
    tiled = EmbeddedEngine(policy).generate(request, SamplingParams(8))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert EmbeddedEngine(policy).generate(request, SamplingParams(8)) == tiled
