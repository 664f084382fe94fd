"""Prompts, with the special tokens that each kind of tokenizer wants."""

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from dunwu.config.task import ChatTemplate, PlainTemplate, R1ZeroTemplate
from dunwu.data.templates import R1_ZERO_TEMPLATE, render
from dunwu.errors import ConfigError
from dunwu.records import Problem

PROBLEM = Problem("p", "k", "What is {3} + 4?", "7", "math")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_BEGIN = "{{ bos_token }}" + CHATML
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def make_tokenizer(*, adds: str = "", chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """A byte tokenizer that adds nothing, "<s>" before ("begin"), or also "</s>" after ("both") each text."""
    vocab = {token: i for i, token in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    if adds:
        single = {"begin": "<s> $A", "both": "<s> $A </s>"}[adds]
        core.post_processor = processors.TemplateProcessing(
            single=single, pair=f"{single} $B", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=SPECIAL[2:],
        chat_template=chat_template,
    )


def test_r1_zero_template_is_table_1_word_for_word() -> None:
    assert R1_ZERO_TEMPLATE.replace("{question}", "prompt") == (
        "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
        "first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning "
        "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> "
        "reasoning process here </think> <answer> answer here </answer>. User: prompt. Assistant:"
    )


@pytest.mark.parametrize(("adds", "begin"), [("", ""), ("begin", "<s>"), ("both", "<s>")])
def test_r1_zero_prompt_is_open_at_its_end(adds: str, begin: str) -> None:
    tokenizer = make_tokenizer(adds=adds)
    prompt = render(R1ZeroTemplate(), PROBLEM, tokenizer)
    assert prompt.text.endswith("</answer>. User: What is {3} + 4?. Assistant:")
    assert tokenizer.decode(prompt.token_ids) == begin + prompt.text
    assert prompt.problem is PROBLEM


def test_plain_template_replaces_every_question_and_never_doubles_the_begin() -> None:
    tokenizer = make_tokenizer(adds="begin")
    prompt = render(PlainTemplate(text="<s>{question} {x} {question}"), PROBLEM, tokenizer)
    assert prompt.text == "<s>What is {3} + 4? {x} What is {3} + 4?"
    assert prompt.token_ids.count(0) == 1
    assert tokenizer.decode(prompt.token_ids) == prompt.text


@pytest.mark.parametrize(("template", "begin"), [(CHATML, ""), (WITH_BEGIN, "<s>")])
@pytest.mark.parametrize("adds", ["", "begin", "both"])
def test_chat_template_writes_its_own_special_tokens(template: str, begin: str, adds: str) -> None:
    tokenizer = make_tokenizer(adds=adds, chat_template=template)
    prompt = render(ChatTemplate(), PROBLEM, tokenizer)
    assert prompt.text == f"{begin}<|im_start|>user\nWhat is {{3}} + 4?<|im_end|>\n<|im_start|>assistant\n"
    assert prompt.token_ids.count(2) == 2  # special tokens, not their letters
    assert prompt.token_ids.count(0) == len(begin) // 3
    encoded = tokenizer.apply_chat_template(
        [{"role": "user", "content": PROBLEM.question}], add_generation_prompt=True, return_dict=True
    )
    assert list(prompt.token_ids) == list(encoded["input_ids"])


def test_system_message_and_prefill() -> None:
    tokenizer = make_tokenizer(chat_template=CHATML)
    prompt = render(ChatTemplate(system="Be brief.", prefill="<think>\n"), PROBLEM, tokenizer)
    assert prompt.text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")
    assert prompt.text.endswith("<|im_start|>assistant\n<think>\n")
    assert tokenizer.decode(prompt.token_ids) == prompt.text


@pytest.mark.parametrize(
    ("template", "config", "message"),
    [
        (None, ChatTemplate(), "has no chat template"),
        (
            "{{ raise_exception('System role not supported') }}",
            ChatTemplate(system="x"),
            "System role not supported",
        ),
        (
            "{{ messages[-1].content }}",
            ChatTemplate(system="Be brief."),
            "drops or changes the system message",
        ),
        ("hello", ChatTemplate(), "drops or changes the question"),
        (CHATML + "<think>\n", ChatTemplate(prefill="<think>\n"), "already ends with <think>"),
    ],
)
def test_chat_templates_that_cannot_be_used(template: str | None, config: ChatTemplate, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        render(config, PROBLEM, make_tokenizer(chat_template=template))


def test_the_text_is_tokenised_exactly_once() -> None:
    tokenizer = make_tokenizer(adds="begin", chat_template=CHATML)
    seen: list[str] = []

    class Spy:
        bos_token_id = tokenizer.bos_token_id
        chat_template = tokenizer.chat_template
        apply_chat_template = staticmethod(tokenizer.apply_chat_template)

        def __call__(self, text: str, **options: Any) -> Any:
            if text != "a":  # asked for to learn what the tokenizer adds
                seen.append(text)
            return tokenizer(text, **options)

    for template in (R1ZeroTemplate(), ChatTemplate(), PlainTemplate()):
        seen.clear()
        prompt = render(template, PROBLEM, Spy())
        assert seen == [prompt.text]
