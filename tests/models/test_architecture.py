"""What a configuration alone rules out."""

import pytest
import torch
from transformers import AutoConfig

from dunwu.errors import ModelError
from dunwu.models.architecture import check_config, count_embeddings, disable_dropout


def test_families_pass(family, tiny_model):
    check_config(tiny_model(family).config, family)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("t5", {}, "name is a t5 model, an encoder-decoder"),
        ("mamba", {}, "MambaForCausalLM keeps a state"),
        ("bloom", {}, "an attention of its own"),
        ("vit", {}, "no causal language model class"),
        ("llama4_text", {}, "layers of type chunked_attention"),
        ("minimax", {}, "layers of type linear_attention"),
        ("llama", {"quantization_config": {"quant_method": "awq"}}, "quantised weights"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "rope type dynamic",
        ),
    ],
)
def test_refused(kind, settings, message):
    with pytest.raises(ModelError, match=message):
        check_config(AutoConfig.for_model(kind, **settings), "name")


def test_a_length_dependent_rope_of_one_layer_type_is_refused():
    config = AutoConfig.for_model("gemma3_text")
    config.rope_parameters["full_attention"]["rope_type"] = "longrope"
    with pytest.raises(ModelError, match="rope type longrope"):
        check_config(config, "name")


def test_remote_code_is_looked_at_once_it_is_loaded():
    config = AutoConfig.for_model("vit")
    config.auto_map = {"AutoModelForCausalLM": "modeling.Model"}
    check_config(config, "name")


def test_count_embeddings(tiny_model):
    assert count_embeddings(tiny_model("llama")) == 272


def test_dropout_is_off_even_in_train_mode():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.9)).train()
    disable_dropout(model)
    torch.testing.assert_close(model(torch.ones(1, 4)), model[0](torch.ones(1, 4)))
