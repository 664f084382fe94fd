"""The lean forward of attention modules: what it recognises, when it leaves the work to transformers, and what it keeps."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from dunwu.kernels import build
from dunwu.models import lean_attention
from dunwu.models.attention import ATTENTION_NAME, register_attention
from dunwu.models.lean_attention import agrees_in_attention, is_known_attention
from dunwu.models.lean_layers import make_lean

needs_kernels = pytest.mark.skipif(build.library() is None, reason=build.explain())
ROTATED = ["llama", "smollm2", "llama31", "qwen2", "qwen3", "qwen3_moe", "granite"]


@pytest.fixture
def rotations(monkeypatch):
    """Counts the rotations that kernels do."""
    calls = []
    rotate = lean_attention.lean_kernels.rotate
    monkeypatch.setattr(
        lean_attention.lean_kernels,
        "rotate",
        lambda *tensors, backward: calls.append(backward) or rotate(*tensors, backward=backward),
    )
    return calls


def sliding_mistral(window):
    """A small Mistral whose window stands in its configuration alone."""
    config = AutoConfig.for_model(
        "mistral",
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=window,
    )
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()


@needs_kernels
def test_training_rotates_by_kernel_both_ways(tiny_policy, make_batch, random_ids, family, rotations):
    policy = tiny_policy(family)
    batch = make_batch([(random_ids(5, 1), [random_ids(4, 2), random_ids(7, 3)])])
    rotations.clear()
    policy.logprobs(batch, temperature=1.0, chunk_tokens=64)[0].sum().backward()
    layers = policy.config.num_hidden_layers if family in ROTATED else 0
    assert (rotations.count(False), rotations.count(True)) == (2 * layers, 2 * layers)


@needs_kernels
def test_a_checkpointed_policy_has_the_same_gradients(tiny_policy, make_batch, random_ids, rotations):
    batch = make_batch([(random_ids(5, 1), [random_ids(4, 2), random_ids(7, 3)])])
    plain, checkpointed = tiny_policy("qwen3", seed=3), tiny_policy("qwen3", seed=3)
    checkpointed.enable_gradient_checkpointing()
    rotations.clear()
    for policy in (plain, checkpointed):
        policy.logprobs(batch, temperature=1.0, chunk_tokens=64)[0].sum().backward()
    assert rotations.count(False) == 3 * 2 * 3  # forward, forward, and forward again in the backward pass
    for one, other in zip(plain.model.parameters(), checkpointed.model.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("window", [None, 3])
def test_mistral_asks_for_the_window_of_its_configuration(window):
    model = sliding_mistral(window)
    attention = model.model.layers[0].self_attn
    assert is_known_attention(attention)
    assert agrees_in_attention(attention)
    assert model.config._attn_implementation == "eager"


@needs_kernels
def test_a_module_that_asks_for_something_else_is_left_alone(tiny_model):
    attention = tiny_model("qwen3").model.layers[0].self_attn
    own = type(attention)
    assert agrees_in_attention(attention)

    class Scaled(own):
        def forward(self, *arguments, **named):
            self.scaling *= 1.01
            try:
                return super().forward(*arguments, **named)
            finally:
                self.scaling /= 1.01

    class Unnormed(own):
        def forward(self, *arguments, **named):
            norm, self.q_norm = self.q_norm, torch.nn.Identity()
            try:
                return super().forward(*arguments, **named)
            finally:
                self.q_norm = norm

    for other in (Scaled, Unnormed):
        attention.__class__ = other
        assert not agrees_in_attention(attention)
        assert not is_known_attention(attention)  # nor would it be asked, as it is not transformers' own


@needs_kernels
def test_another_attention_or_a_cache_of_transformers_runs_the_own_forward(tiny_model, random_ids, rotations):
    plain = tiny_model("llama", seed=1)
    lean = copy.deepcopy(plain)
    make_lean(lean)
    rotations.clear()
    ids = torch.tensor([random_ids(9, 2), random_ids(9, 3)])
    with torch.no_grad():
        for options in ({}, {"use_cache": True, "past_key_values": DynamicCache()}):
            expected, actual = (
                model(input_ids=ids, **copy.deepcopy(options)).logits for model in (plain, lean)
            )
            torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    assert not rotations


@needs_kernels
def test_rotary_embeddings_of_part_of_a_head_run_the_own_forward(tiny_model, rotations):
    register_attention()
    model = tiny_model("llama")
    model.set_attn_implementation(ATTENTION_NAME)
    make_lean(model)
    rotations.clear()
    attention = model.model.layers[0].self_attn
    hidden = torch.randn(1, 4, model.config.hidden_size)
    half = torch.randn(2, 1, 4, attention.head_dim // 2)
    with pytest.raises(RuntimeError, match="size of tensor"):  # as transformers' Llama does
        attention(hidden, position_embeddings=tuple(half), attention_mask=None)
    assert not rotations
