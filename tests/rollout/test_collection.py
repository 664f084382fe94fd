"""Completions become text without special tokens, except those that mark thinking and answer."""

from types import SimpleNamespace

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dunwu.rollout.collection import policy_decoder


@pytest.fixture(scope="module")
def policy() -> SimpleNamespace:
    core = Tokenizer(
        models.BPE({byte: i for i, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, [])
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(text, special=True) for text in ("<eos>", "<|sum|>", "<|other|>")])
    core.add_tokens([AddedToken("<think>", special=False)])
    return SimpleNamespace(tokenizer=PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>"))


TEXT = "<think>a 1<|sum|> b<|other|><eos>"


@pytest.mark.parametrize(
    ("keep", "text"),
    [
        ((), "<think>a 1 b"),
        (("<think>", "</think>"), "<think>a 1 b"),
        (("<|sum|>",), "<think>a 1<|sum|> b"),
        (("<|sum|>", "<|other|>"), "<think>a 1<|sum|> b<|other|>"),
    ],
)
def test_only_the_marks_of_the_output_form_survive(
    policy: SimpleNamespace, keep: tuple[str, ...], text: str
) -> None:
    ids = policy.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    assert policy_decoder(policy, keep)(ids) == text  # type: ignore[arg-type]
