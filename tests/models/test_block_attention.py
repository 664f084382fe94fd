"""Block attention against softmax written out, and its gradient against finite differences' own referee, autograd."""

import pytest
import torch

from dunwu.models import block_attention
from dunwu.models.block_attention import bias_dtype, causal_attention, masked_attention

SIZES = [(4, 4, 8, 8), (6, 2, 8, 8), (4, 1, 6, 6), (4, 4, 12, 5), (4, 2, 5, 9)]


def written_out(query, key, value, mask, scale, softcap=None):
    groups = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    scores = scale * query @ key.transpose(2, 3)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    return torch.softmax(scores.masked_fill(~mask, -torch.inf), -1) @ value


def bias_of(mask, dtype=torch.float32):
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, -torch.inf)


def heads(num_heads, num_key_heads, size, value_size, queries=9, keys=9, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = [
        (3, num_heads, queries, size),
        (3, num_key_heads, keys, size),
        (3, num_key_heads, keys, value_size),
    ]
    return [torch.randn(s, generator=generator).to(dtype).requires_grad_() for s in shapes]


def assert_same_with_gradients(actual, expected, inputs, tolerance):
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(expected.dtype)
    for left, right in zip(
        torch.autograd.grad(actual, inputs, direction),
        torch.autograd.grad(expected, inputs, direction),
        strict=True,
    ):
        torch.testing.assert_close(left, right, atol=5 * tolerance, rtol=5 * tolerance)


@pytest.mark.parametrize("sizes", SIZES)
def test_causal(sizes):
    inputs = heads(*sizes)
    mask = torch.ones(9, 9, dtype=torch.bool).tril()
    assert_same_with_gradients(
        causal_attention(*inputs, scale=0.4), written_out(*inputs, mask, 0.4), inputs, 1e-5
    )


@pytest.mark.parametrize("softcap", [None, 0.7])
@pytest.mark.parametrize("sizes", SIZES)
def test_masked(sizes, softcap):
    inputs = heads(*sizes, queries=4)
    mask = torch.rand(3, 4, 9, generator=torch.Generator().manual_seed(2)) < 0.5
    mask[..., 0] = True
    assert_same_with_gradients(
        masked_attention(*inputs, bias_of(mask), scale=0.4, softcap=softcap),
        written_out(*inputs, mask[:, None], 0.4, softcap),
        inputs,
        1e-5,
    )


def test_repeated_key_heads_give_the_same(monkeypatch):
    """What a GPU kernel needs that takes no fewer key heads."""
    inputs = heads(6, 2, 8, 8)
    expected = causal_attention(*inputs, scale=0.4)
    monkeypatch.setattr(block_attention, "_fused_with_few_key_heads", lambda query, bias: False)
    torch.testing.assert_close(causal_attention(*inputs, scale=0.4), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_bfloat16_is_computed_in_float32_on_a_cpu(masked):
    """The only rounding is that of the result."""
    inputs = heads(6, 2, 8, 5, dtype=torch.bfloat16)
    wide = [part.detach().float() for part in inputs]
    mask = torch.ones(9, 9, dtype=torch.bool).tril()
    assert bias_dtype(inputs[0]) == torch.float32
    if masked:
        output = masked_attention(*inputs, bias_of(mask).expand(3, 9, 9), scale=0.4)
    else:
        output = causal_attention(*inputs, scale=0.4)
    expected = written_out(*wide, mask, 0.4)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output, expected.to(torch.bfloat16), atol=0, rtol=2**-7)
    assert float((output.float() - expected).detach().abs().mean()) < 2**-9 * float(expected.abs().mean())


def test_the_bias_of_float32_is_float32():
    assert bias_dtype(torch.zeros(1)) == torch.float32
