"""The door between transformers' layers and our contexts: shapes, what is passed on, what is refused."""

import pytest
import torch
from torch import nn
from transformers import AttentionInterface

from dunwu.errors import ModelError
from dunwu.models.attention import ATTENTION_NAME, LayerAttention, dunwu_attention, register_attention


class Context:
    """Returns the values, each key head doubled, and notes what it was given."""

    def attend(self, query_THD, key_TKD, value_TKE, layer):
        self.seen = (query_THD.shape, key_TKD.shape, value_TKE.shape, layer)
        return value_TKE.repeat_interleave(2, dim=1)


@pytest.fixture
def module():
    layer = nn.Module()
    layer.layer_idx = 3
    return layer


@pytest.fixture
def heads():
    """(1, 4, 5, 6) queries, (1, 2, 5, 6) keys and (1, 2, 5, 7) values."""
    return torch.zeros(1, 4, 5, 6), torch.zeros(1, 2, 5, 6), torch.arange(70.0).view(1, 2, 5, 7)


def test_shapes_and_arguments_reach_the_context(module, heads):
    context = Context()
    output, weights = dunwu_attention(
        module,
        *heads,
        None,
        scaling=0.3,
        sliding_window=8,
        softcap=2.0,
        dunwu_context=context,
        use_cache=True,
    )
    assert weights is None
    assert output.shape == (1, 5, 4, 7)
    torch.testing.assert_close(output[0, :, 2], heads[2][0, 1])
    assert context.seen == ((5, 4, 6), (5, 2, 6), (5, 2, 7), LayerAttention(3, 0.3, 8, 2.0))


def test_the_scale_defaults_to_that_of_the_head_size(module, heads):
    context = Context()
    dunwu_attention(module, *heads, None, dunwu_context=context)
    assert context.seen[3].scale == 6**-0.5


def test_a_missing_context_is_refused(module, heads):
    with pytest.raises(ModelError, match="Module does not pass keyword arguments on"):
        dunwu_attention(module, *heads, None, scaling=1.0)


def test_an_unknown_wish_is_refused(module, heads):
    with pytest.raises(ModelError, match="asks for s_aux in its attention"):
        dunwu_attention(module, *heads, None, dunwu_context=Context(), s_aux=torch.zeros(4))


def test_an_unknown_argument_without_a_value_is_harmless(module, heads):
    dunwu_attention(module, *heads, None, dunwu_context=Context(), s_aux=None)


def test_a_mask_is_refused(module, heads):
    with pytest.raises(ModelError, match="asks for attention_mask"):
        dunwu_attention(module, *heads, torch.ones(1, 1, 5, 5), dunwu_context=Context())


def test_registering_twice_is_once():
    register_attention()
    register_attention()
    assert AttentionInterface()[ATTENTION_NAME] is dunwu_attention
