"""Models that load and must not be trained: each is caught by running a few tokens."""

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from dunwu.errors import ModelError
from dunwu.models.attention import ATTENTION_NAME, register_attention
from dunwu.models.packability import check_packable


@pytest.fixture
def llama(tiny_model):
    register_attention()
    model = tiny_model("llama")
    model.set_attn_implementation(ATTENTION_NAME)
    return model


def wrap_forward(module, change):
    """Replace a module's forward by change(original, *args, **kwargs)."""
    original = module.forward
    module.forward = lambda *args, **kwargs: change(original, *args, **kwargs)


def test_a_sound_model_passes_and_keeps_its_mode(llama):
    llama.train()
    check_packable(llama)
    assert llama.training
    assert llama.config._attn_implementation == ATTENTION_NAME


def test_a_layer_without_attention(llama):
    class NoAttention(nn.Module):
        def forward(self, hidden_states, **_):
            return 0.5 * hidden_states, None

    llama.model.layers[1].self_attn = NoAttention()
    with pytest.raises(ModelError, match="has 3 layers, and 2 of them use replaceable attention"):
        check_packable(llama)


def test_tokens_that_leak_outside_attention(llama):
    """A token shift, as in RWKV or a short convolution."""

    def shifted(original, hidden):
        return original(hidden + torch.roll(hidden, 1, dims=1))

    wrap_forward(llama.model.layers[1].mlp, shifted)
    with pytest.raises(ModelError, match="influence each other outside attention"):
        check_packable(llama)


def test_attention_that_does_more_than_it_asks_for(llama):
    """A layer that scales its output only with its own implementation."""

    def scaled(original, *args, **kwargs):
        output, weights = original(*args, **kwargs)
        return (output * 2 if llama.config._attn_implementation == "eager" else output), weights

    wrap_forward(llama.model.layers[0].self_attn, scaled)
    with pytest.raises(ModelError, match="does more in its attention"):
        check_packable(llama)


def test_unknown_logits(llama):
    wrap_forward(llama.lm_head, lambda original, hidden: original(hidden) * 1.1)
    with pytest.raises(ModelError, match="does something to its logits"):
        check_packable(llama)


def test_a_model_that_breaks(llama):
    def broken(original, *args, **kwargs):
        raise RuntimeError("no such kernel")

    wrap_forward(llama.model.norm, broken)
    with pytest.raises(ModelError, match=r"cannot be run packed \(RuntimeError: no such kernel\)"):
        check_packable(llama)


def test_nan_is_not_equal_to_anything(llama):
    with torch.no_grad():
        llama.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="influence each other"):
        check_packable(llama)


def test_a_sliding_layer_that_forgets_its_window(tiny_model):
    register_attention()
    model = tiny_model("gemma3")
    model.set_attn_implementation(ATTENTION_NAME)
    model.model.layers[0].self_attn.sliding_window = None
    with pytest.raises(
        ModelError, match="layer 0 of Gemma3ForCausalLM is sliding_attention and asks for a window of None"
    ):
        check_packable(model)


def test_attention_with_sinks_is_refused():
    register_attention()
    config = AutoConfig.for_model(
        "gpt_oss", vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, num_local_experts=2, num_experts_per_tok=1, pad_token_id=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    model.set_attn_implementation(ATTENTION_NAME)
    with pytest.raises(ModelError, match="asks for s_aux"):
        check_packable(model)
