"""From a path to a policy and back to a folder; every way in which a folder can be wrong."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from dunwu.config.training import ModelConfig
from dunwu.errors import ModelError
from dunwu.models import loading
from dunwu.models.attention import ATTENTION_NAME
from dunwu.models.loading import load_policy, load_tokenizer, make_policy, resolve_model, save_policy


@pytest.fixture
def folder(tmp_path, tiny_policy):
    """A saved tiny Llama."""
    path = tmp_path / "model"
    save_policy(tiny_policy("llama"), path)
    return path


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_round_trip_with_transformers_alone(family, tmp_path, tiny_policy):
    policy = tiny_policy(family)
    save_policy(policy, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    ids = torch.tensor([[5, 9, 200, 31]])
    assert model.config._attn_implementation == "eager"
    assert ATTENTION_NAME not in (tmp_path / "config.json").read_text()
    state = policy.model.state_dict()
    assert model.state_dict().keys() == state.keys()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, state[name], atol=0, rtol=0)
    policy.model.set_attn_implementation("eager")
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, policy.model(input_ids=ids).logits)
    assert AutoTokenizer.from_pretrained(tmp_path)("ab").input_ids == policy.tokenizer("ab").input_ids


def test_load_policy(folder, tiny_policy, make_batch, random_ids):
    policy = load_policy(ModelConfig(path=str(folder), device="cpu"))
    batch = make_batch([(random_ids(5, 0), [random_ids(6, 1)])])
    expected = tiny_policy("llama").hidden_states(batch)
    torch.testing.assert_close(policy.hidden_states(batch), expected)
    assert not policy.model.training
    assert policy.dtype == torch.float32
    assert policy.device.type == "cpu"


def test_dtype(folder):
    policy = load_policy(ModelConfig(path=str(folder), dtype="bfloat16", device="cpu"))
    assert {value.dtype for value in policy.model.parameters()} == {torch.bfloat16}


def test_auto_takes_what_is_there(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load_policy(ModelConfig(path=str(folder))).device.type == "cpu"


def test_the_package_s_own_model_resolves():
    assert resolve_model("micro").endswith("micro")


def test_smollm2_resolves_by_its_own_door(monkeypatch, folder):
    monkeypatch.setattr(loading, "smollm2_folder", lambda: folder)
    assert resolve_model("smollm2") == str(folder)


def test_a_hub_name_is_left_to_transformers():
    assert resolve_model("owner/name") == "owner/name"


@pytest.mark.parametrize("path", ["/no/such/folder", "./missing/model", "missing", "~/no-such-model"])
def test_a_missing_folder(path):
    with pytest.raises(ModelError, match="does not exist"):
        resolve_model(path)


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "model.gguf"
    path.touch()
    with pytest.raises(ModelError, match="does not exist"):
        resolve_model(str(path))


def test_a_folder_without_config(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_policy(ModelConfig(path=str(tmp_path)))


def test_a_broken_config(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="no configuration can be loaded from"):
        load_policy(ModelConfig(path=str(folder)))


def test_an_unknown_model_type(folder):
    edit_config(folder, model_type="perceptron9")
    with pytest.raises(ModelError, match="perceptron9"):
        load_policy(ModelConfig(path=str(folder)))


def test_an_unsupported_architecture_fails_before_weights_are_read(folder):
    edit_config(folder, model_type="mamba")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="MambaForCausalLM"):
        load_policy(ModelConfig(path=str(folder)))


def test_a_folder_without_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="no tokenizer can be loaded from"):
        load_tokenizer(str(folder))


def test_a_folder_without_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no model can be loaded from"):
        load_policy(ModelConfig(path=str(folder), device="cpu"))


def test_weights_that_are_not_in_the_files(folder):
    edit_config(folder, num_hidden_layers=4)
    with pytest.raises(ModelError, match=r"lacks 9 of the model's weights .*would be random"):
        load_policy(ModelConfig(path=str(folder), device="cpu"))


def test_cuda_that_is_not_there(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"model\.device is cuda and torch sees no CUDA device"):
        load_policy(ModelConfig(path=str(folder), device="cuda"))


def test_a_tokenizer_of_another_model(tiny_model, tiny_tokenizer):
    tiny_tokenizer.add_tokens([f"<{i}>" for i in range(20)])
    with pytest.raises(ModelError, match="has 279 tokens and the model embeds 272"):
        make_policy(tiny_model("llama"), tiny_tokenizer)


def test_a_checkpoint_with_stray_sampling_settings_can_be_saved(tmp_path, tiny_model, tiny_tokenizer):
    model = tiny_model("llama")
    model.generation_config = GenerationConfig(do_sample=False, temperature=0.6, top_p=0.9, eos_token_id=257)
    with pytest.raises(ValueError, match="temperature"):
        model.save_pretrained(tmp_path / "refused")
    save_policy(make_policy(model, tiny_tokenizer), tmp_path / "saved")
    assert GenerationConfig.from_pretrained(tmp_path / "saved").temperature == 0.6
