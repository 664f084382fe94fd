"""New tokens: the tokenizer knows them, the embeddings begin as the mean of their former pieces, generation stops at the end."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from dunwu.errors import ConfigError
from dunwu.models.loading import save_policy
from dunwu.models.vocabulary import add_tokens, grow_embeddings, stop_at

TOKENS = ("<think>", "|special_token|", "x")


def letters(text):
    """The tokens of printable ASCII: 0 is "!"."""
    return [ord(letter) - ord("!") for letter in text]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma3"])
def test_a_new_token_begins_as_the_mean_of_its_pieces(kind, tiny_policy):
    policy = tiny_policy(kind)
    before = [
        layer.weight.detach().clone()
        for layer in (policy.model.get_input_embeddings(), policy.model.get_output_embeddings())
    ]
    added = add_tokens(policy.tokenizer, TOKENS)
    assert added == {token: letters(token) for token in TOKENS[:2]}  # "x" is one already
    grow_embeddings(policy, added)
    layers = (policy.model.get_input_embeddings(), policy.model.get_output_embeddings())
    for layer, old in zip(layers, before, strict=True):
        assert len(layer.weight) == max(len(old), len(policy.tokenizer))
        known = [row for row in range(len(old)) if row not in (259, 260)]
        torch.testing.assert_close(layer.weight[known], old[known], rtol=0, atol=0)
        for token, pieces in added.items():
            row = policy.tokenizer.convert_tokens_to_ids(token)
            torch.testing.assert_close(layer.weight[row], old[pieces].mean(0))


def test_embeddings_grow_and_the_model_loads_again(tiny_policy, tmp_path):
    policy = tiny_policy("llama")
    many = [f"<new-{i}>" for i in range(40)]
    grow_embeddings(policy, add_tokens(policy.tokenizer, many))
    assert policy.num_tokens == len(policy.tokenizer) == policy.config.vocab_size == 299
    save_policy(policy, tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer("a<new-39>b")["input_ids"] == [*letters("a"), 298, *letters("b")]
    torch.testing.assert_close(
        model.get_input_embeddings().weight, policy.model.get_input_embeddings().weight
    )
    assert model(input_ids=torch.tensor([[97, 298]])).logits.shape == (1, 2, 299)


def test_tokens_that_are_there_change_nothing(tiny_policy):
    policy = tiny_policy("llama")
    grow_embeddings(policy, add_tokens(policy.tokenizer, TOKENS))
    before = policy.model.get_input_embeddings().weight.detach().clone()
    again = add_tokens(policy.tokenizer, TOKENS)
    grow_embeddings(policy, again)
    assert again == {}
    torch.testing.assert_close(policy.model.get_input_embeddings().weight, before, rtol=0, atol=0)


def test_new_tokens_stay_visible_and_keep_the_space_around_them(tiny_tokenizer):
    add_tokens(tiny_tokenizer, ["<think>"])
    ids = tiny_tokenizer("a <think> b", add_special_tokens=False)["input_ids"]
    assert len(ids) == 5
    assert tiny_tokenizer.decode(ids, skip_special_tokens=True) == "a <think> b"


def test_white_space_is_no_token(tiny_tokenizer):
    with pytest.raises(ConfigError, match=r"new_tokens holds ' \\n', which is white space alone"):
        add_tokens(tiny_tokenizer, ["<a>", " \n"])


def test_generation_stops_at_the_end_of_a_turn(tiny_policy, tmp_path):
    policy = tiny_policy("llama")
    assert policy.eos_token_ids == (257,)
    assert not stop_at(policy, "<eos>")
    assert policy.eos_token_ids == (257,)
    assert stop_at(policy, "<bos>")
    assert policy.eos_token_ids == (256, 257)
    save_policy(policy, tmp_path / "model")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "model").generation_config.eos_token_id == [
        256,
        257,
    ]


def test_the_end_of_a_turn_leaves_no_trace_in_a_completion(tiny_policy, tmp_path):
    policy = tiny_policy("llama")
    grow_embeddings(policy, add_tokens(policy.tokenizer, ["<turn>", "<think>"]))
    ids = policy.tokenizer("a<think>b<turn>", add_special_tokens=False)["input_ids"]
    assert len(ids) == 4
    stop_at(policy, "<turn>")
    save_policy(policy, tmp_path / "model")
    for tokenizer in (policy.tokenizer, AutoTokenizer.from_pretrained(tmp_path / "model")):
        assert tokenizer("a<think>b<turn>", add_special_tokens=False)["input_ids"] == ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == "a<think>b"
