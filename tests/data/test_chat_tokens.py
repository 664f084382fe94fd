"""Which tokens are trained, written out by hand for each family, and what happens where pieces meet."""

from typing import Any

import numpy as np
import pytest

from dunwu.data.chat import ChatForm, RenderedSample, render_samples
from dunwu.data.chat_tokens import SampleTokenizer, TokenSample
from dunwu.data.conversations import Conversation
from dunwu.errors import DataError

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKED = CHATML.replace(
    "{{ m.content }}<|im_end|>",
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ m.content }}<|im_end|>{% endif %}",
)
TURNS = (
    {"role": "user", "content": "What is two plus two?"},
    {"role": "assistant", "content": "Four it is."},
)
MORE = (*TURNS, {"role": "user", "content": "And three?"}, {"role": "assistant", "content": "Five it is."})
ALL_FAMILIES = ("qwen2.5-base", "qwen2.5-instruct", "qwen3", "llama-3.1", "gemma-3", "r1-distill")


def thoughtful(thought: str) -> Conversation:
    return Conversation("line 1", (TURNS[0], {**TURNS[1], "reasoning_content": thought}))


def tokens(tokenizer: Any, conversation: Conversation) -> list[TokenSample]:
    return SampleTokenizer(tokenizer).tokenise(render_samples(ChatForm(tokenizer), conversation))


def words(tokenizer: Any, token_ids: Any) -> list[str]:
    return [tokenizer.decode([token]) for token in token_ids]


FOUR, FIVE = ["F", "our", " it", " is", "."], ["F", "iv", "e", " it", " is", "."]
THOUGHT = ["Two", " and", " two", "."]
NO_THOUGHT = ["<think>", "\n\n", "</think>", "\n\n"]
CLOSE = ["\n", "<", "/", "think", ">", "\n\n"]
# trained tokens of the two turns, and those of one turn that thinks
TRAINED: dict[str, tuple[list[str], list[str]]] = {
    "qwen2.5-base": (
        [*FOUR, "<|im_end|>", *FIVE, "<|im_end|>"],
        ["<", "think", ">", "\n", *THOUGHT, *CLOSE, *FOUR, "<|im_end|>"],
    ),
    "qwen2.5-instruct": (
        [*FOUR, "<|im_end|>", *FIVE, "<|im_end|>"],
        ["<", "think", ">", "\n", *THOUGHT, *CLOSE, *FOUR, "<|im_end|>"],
    ),
    "qwen3": (
        [*NO_THOUGHT, *FOUR, "<|im_end|>", *NO_THOUGHT, *FIVE, "<|im_end|>"],
        ["<think>", "\n", *THOUGHT, "\n", "</think>", "\n\n", *FOUR, "<|im_end|>"],
    ),
    "llama-3.1": (
        [*FOUR, "<|eot_id|>", *FIVE, "<|eot_id|>"],
        ["<", "think", ">", "\n", *THOUGHT, *CLOSE, *FOUR, "<|eot_id|>"],
    ),
    "gemma-3": (
        ["F", "our", " it", " is.", "<end_of_turn>", "F", "iv", "e", " it", " is.", "<end_of_turn>"],
        ["<", "think", ">", "\n", "Two", " and", " two.", *CLOSE, "F", "our", " it", " is.", "<end_of_turn>"],
    ),
    "r1-distill": (
        [*FOUR, "<｜end▁of▁sentence｜>", *FIVE, "<｜end▁of▁sentence｜>"],
        [*THOUGHT, "\n", "</think>", "\n\n", *FOUR, "<｜end▁of▁sentence｜>"],
    ),
}


@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_the_trained_tokens_of_a_family(name: str, chat_tokenizer: Any) -> None:
    tokenizer = chat_tokenizer(name)
    for conversation, expected in zip(
        (Conversation("line 1", MORE), thoughtful("Two and two.")), TRAINED[name], strict=True
    ):
        found = tokens(tokenizer, conversation)
        assert [word for s in found for word in words(tokenizer, s.token_ids[s.trained])] == expected
        for sample in found:
            assert not sample.trained[0]
            assert sample.trained[-1]
            assert sample.token_ids.dtype == np.int32


@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_a_sample_is_what_the_template_gives_as_tokens_up_to_its_last_turns_end(
    name: str, chat_tokenizer: Any
) -> None:
    """Beginning-of-sequence once, special tokens as such, nothing added: the tokens that transformers gives."""
    tokenizer = chat_tokenizer(name)
    (sample,) = tokens(tokenizer, Conversation("line 1", TURNS))
    theirs = tokenizer.apply_chat_template([dict(turn) for turn in TURNS], return_dict=True)["input_ids"]
    ours = sample.token_ids.tolist()
    assert ours == theirs[: len(ours)]
    assert tokenizer.decode(theirs[len(ours) :]).strip() == ""
    if tokenizer.bos_token is not None:
        assert ours.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("template", [MARKED, CHATML])
def test_the_mask_is_that_of_transformers_where_a_template_has_marks(
    template: str, chat_tokenizer: Any
) -> None:
    tokenizer = chat_tokenizer("qwen2.5-base", template=MARKED)
    theirs = tokenizer.apply_chat_template(
        [dict(turn) for turn in MORE], return_dict=True, return_assistant_tokens_mask=True
    )
    tokenizer.chat_template = template
    (sample,) = tokens(tokenizer, Conversation("line 1", MORE))
    ours = sample.trained.astype(int).tolist()
    assert ours == theirs["assistant_masks"][: len(ours)]
    assert sum(theirs["assistant_masks"]) == sum(ours) == 13


def test_no_token_reaches_over_the_border_of_two_pieces(chat_tokenizer: Any) -> None:
    """The prompt ends with a line break, the answer begins with one, and the two together are a token."""
    tokenizer = chat_tokenizer("qwen2.5-base", template=CHATML)
    answer = {"role": "assistant", "content": "\nHi"}
    (sample,) = tokens(tokenizer, Conversation("line 1", (TURNS[0], answer)))
    assert words(tokenizer, sample.token_ids[sample.trained]) == ["\n", "Hi", "<|im_end|>"]
    asked = tokenizer.apply_chat_template([TURNS[0]], add_generation_prompt=True, return_dict=True)[
        "input_ids"
    ]
    assert sample.token_ids[~sample.trained].tolist() == asked
    at_once = tokenizer.apply_chat_template([TURNS[0], answer], return_dict=True)["input_ids"]
    assert words(tokenizer, at_once)[-4:] == ["\n\n", "Hi", "<|im_end|>", "\n"]  # the trap


def test_text_outside_the_vocabulary_comes_back(chat_tokenizer: Any) -> None:
    for name in ALL_FAMILIES:
        tokenizer = chat_tokenizer(name)
        text = "顿悟 is e\u0301 🙂  two  spaces"
        conversation = Conversation("line 1", (TURNS[0], {"role": "assistant", "content": text}))
        (sample,) = tokens(tokenizer, conversation)
        decoded = tokenizer.decode(sample.token_ids[sample.trained])
        assert decoded.replace("e\u0301", "é").startswith(
            ("顿悟 is é 🙂  two  spaces", "<think>\n\n</think>\n\n顿悟 is é 🙂")
        )


SPACED = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


def test_a_tokenizer_that_puts_a_space_before_every_text_is_asked_once(spaced_tokenizer: Any) -> None:
    spaced_tokenizer.chat_template = SPACED
    assert not SampleTokenizer(spaced_tokenizer).in_pieces
    (sample,) = tokens(spaced_tokenizer, Conversation("line 1", MORE))
    core = spaced_tokenizer.backend_tokenizer
    trained = [core.id_to_token(token) for token in sample.token_ids[sample.trained]]
    assert "".join(trained) == "▁Four▁it▁is.</s>▁Five▁it▁is.</s>"
    at_once = spaced_tokenizer.apply_chat_template([dict(turn) for turn in MORE], return_dict=True)[
        "input_ids"
    ]
    assert sample.token_ids.tolist() == at_once


def test_a_token_that_cannot_be_cut_is_an_error(spaced_tokenizer: Any) -> None:
    sample = RenderedSample("line 4", ("as", "sistant</s>"), "</s>")
    with pytest.raises(DataError, match="line 4: one token holds 'assistant', part of which is trained on"):
        SampleTokenizer(spaced_tokenizer).tokenise([sample])


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        (("What is two?", ""), "line 9: no token of the sample would be trained on"),
        (("", "Four.<|im_end|>"), "line 9: every token of the sample would be trained on"),
        (("What?", "Four.<|im_end|> it<|im_end|>"), r"line 9: .* holds '<\|im_end\|>'.* before its end"),
        (("What?", "Four."), "line 9: .* not as one token at its end"),
    ],
)
def test_a_sample_whose_mask_cannot_be_right_is_named(
    pieces: tuple[str, ...], message: str, chat_tokenizer: Any
) -> None:
    tokenizer = SampleTokenizer(chat_tokenizer("qwen2.5-base"))
    good = RenderedSample("line 8", ("What?", "Four.<|im_end|>"), "<|im_end|>")
    with pytest.raises(DataError, match=message):
        tokenizer.tokenise([good, RenderedSample("line 9", pieces, "<|im_end|>")])


def test_an_end_token_in_a_question_is_not_trained_and_no_error(chat_tokenizer: Any) -> None:
    sample = RenderedSample("line 9", ("What is <|im_end|>?", "Four.<|im_end|>"), "<|im_end|>")
    (found,) = SampleTokenizer(chat_tokenizer("qwen2.5-base")).tokenise([sample])
    assert int(found.trained.sum()) == 4
