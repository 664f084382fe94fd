"""The output layer: found by reference, and what it does to the logits."""

import pytest
import torch

from dunwu.errors import ModelError
from dunwu.models.head import Head, find_head


@pytest.mark.parametrize("family_name", ["llama", "smollm2", "gemma2", "granite", "deepseek_v3"])
def test_logits_are_the_model_s_own(family_name, tiny_model):
    model = tiny_model(family_name)
    ids = torch.tensor([[5, 9, 200]])
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids).last_hidden_state[0]
        expected = model(input_ids=ids).logits[0]
    torch.testing.assert_close(find_head(model).logits(hidden), expected, atol=1e-5, rtol=1e-5)


def test_the_weight_is_not_a_copy(tiny_model):
    model = tiny_model("smollm2")
    assert find_head(model).weight_VD is model.get_input_embeddings().weight


def test_every_part_written_out():
    layer = torch.nn.Linear(3, 3)
    layer.load_state_dict({"weight": torch.eye(3), "bias": torch.tensor([0.0, 1.0, -1.0])})
    head = Head(layer, softcap=2.0, scale=0.5)
    logits = head.logits(torch.tensor([[2.0, 4.0, 6.0]]).to(torch.float32))
    expected = 2 * torch.tanh(torch.tensor([[1.0, 3.0, 2.0]]) / 2)
    torch.testing.assert_close(logits, expected)


def test_logits_are_float32():
    head = Head(torch.nn.Linear(2, 4, dtype=torch.bfloat16))
    assert head.logits(torch.ones(1, 2, dtype=torch.bfloat16)).dtype == torch.float32


def test_a_model_without_output_layer_is_refused(tiny_model):
    with pytest.raises(ModelError, match="has no linear output layer"):
        find_head(tiny_model("llama").base_model)


@pytest.mark.parametrize("family_name", ["llama", "gemma2", "granite"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_to_sample_from_are_the_same_numbers(family_name, dtype, tiny_model):
    head = find_head(tiny_model(family_name, dtype=dtype))
    hidden = torch.randn(3, head.weight_VD.shape[1], generator=torch.Generator().manual_seed(3)).to(dtype)
    narrow = head.sampling_logits(hidden)
    assert narrow.dtype == (dtype if head.softcap is None else torch.float32)
    assert torch.equal(narrow.float(), head.logits(hidden))
