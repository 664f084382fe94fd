"""What is shown and what is trained, written out by hand for each family's stock template, and the traps of templates."""

from typing import Any

import pytest

from dunwu.data.chat import ChatForm, render_samples
from dunwu.data.conversations import Conversation
from dunwu.errors import ConfigError, DataError

ASK, ANSWER, ASK_ON, ANSWER_ON = "What is two plus two?", "Four it is.", "And three?", "Five it is."
FAMILIES = ("qwen2.5-base", "qwen2.5-instruct", "qwen3", "llama-3.1", "gemma-3", "r1-distill")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def talk(*contents: str, thinking: tuple[str, ...] = (), system: str | None = None) -> Conversation:
    """User and assistant by turns; `thinking` are the thoughts of the assistant's turns."""
    messages: list[dict[str, Any]] = [] if system is None else [{"role": "system", "content": system}]
    for place, content in enumerate(contents):
        messages.append({"role": ("user", "assistant")[place % 2], "content": content})
        if place % 2 and thinking:
            messages[-1]["reasoning_content"] = thinking[place // 2]
    return Conversation("data.jsonl line 7", tuple(messages))


PLAIN = talk(ASK, ANSWER, ASK_ON, ANSWER_ON)
THOUGHTFUL = talk(ASK, ANSWER, ASK_ON, ANSWER_ON, thinking=("Two and two.", "One more."))


def pieces(form: ChatForm, conversation: Conversation) -> list[tuple[str, ...]]:
    return [sample.pieces for sample in render_samples(form, conversation)]


def chatml(system: str, first: str, second: str) -> list[tuple[str, ...]]:
    return [
        (
            f"{system}<|im_start|>user\nWhat is two plus two?<|im_end|>\n<|im_start|>assistant\n",
            f"{first}<|im_end|>",
            "\n<|im_start|>user\nAnd three?<|im_end|>\n<|im_start|>assistant\n",
            f"{second}<|im_end|>",
        )
    ]


BASE_SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
QWEN_SYSTEM = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
)
THINK_1 = "<think>\nTwo and two.\n</think>\n\nFour it is."
THINK_2 = "<think>\nOne more.\n</think>\n\nFive it is."
LLAMA_START = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: 26 Jul 2024\n\n<|eot_id|>"
)


def llama(first: str, second: str) -> list[tuple[str, ...]]:
    return [
        (
            LLAMA_START + "<|start_header_id|>user<|end_header_id|>\n\nWhat is two plus two?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            f"{first}<|eot_id|>",
            "<|start_header_id|>user<|end_header_id|>\n\nAnd three?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            f"{second}<|eot_id|>",
        )
    ]


def gemma(first: str, second: str) -> list[tuple[str, ...]]:
    return [
        (
            "<bos><start_of_turn>user\nWhat is two plus two?<end_of_turn>\n<start_of_turn>model\n",
            f"{first}<end_of_turn>",
            "\n<start_of_turn>user\nAnd three?<end_of_turn>\n<start_of_turn>model\n",
            f"{second}<end_of_turn>",
        )
    ]


# Qwen3 shows an earlier answer without its thinking, even an empty one: each turn is a sample of its own
QWEN3_ASKED = "<|im_start|>user\nWhat is two plus two?<|im_end|>\n<|im_start|>assistant\n"
QWEN3_ASKED_ON = (
    QWEN3_ASKED + "Four it is.<|im_end|>\n<|im_start|>user\nAnd three?<|im_end|>\n<|im_start|>assistant\n"
)
NO_THOUGHT = "<think>\n\n</think>\n\n"
# R1-Distill drops every answer's thinking and opens the next one in the prompt
R1_ASKED = "<｜begin▁of▁sentence｜><｜User｜>What is two plus two?<｜Assistant｜>"
R1_ASKED_ON = R1_ASKED + "\n\nFour it is.<｜end▁of▁sentence｜><｜User｜>And three?<｜Assistant｜>"

EXPECTED: dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]]]] = {
    "qwen2.5-base": (chatml(BASE_SYSTEM, ANSWER, ANSWER_ON), chatml(BASE_SYSTEM, THINK_1, THINK_2)),
    "qwen2.5-instruct": (chatml(QWEN_SYSTEM, ANSWER, ANSWER_ON), chatml(QWEN_SYSTEM, THINK_1, THINK_2)),
    "qwen3": (
        [
            (QWEN3_ASKED, NO_THOUGHT + "Four it is.<|im_end|>"),
            (QWEN3_ASKED_ON, NO_THOUGHT + "Five it is.<|im_end|>"),
        ],
        [(QWEN3_ASKED, THINK_1 + "<|im_end|>"), (QWEN3_ASKED_ON, THINK_2 + "<|im_end|>")],
    ),
    "llama-3.1": (llama(ANSWER, ANSWER_ON), llama(THINK_1, THINK_2)),
    "gemma-3": (gemma(ANSWER, ANSWER_ON), gemma(THINK_1, THINK_2)),
    "r1-distill": (
        [
            (
                R1_ASKED,
                "Four it is.<｜end▁of▁sentence｜>",
                "<｜User｜>And three?<｜Assistant｜>",
                "Five it is.<｜end▁of▁sentence｜>",
            )
        ],
        [
            (R1_ASKED + "<think>\n", "Two and two.\n</think>\n\nFour it is.<｜end▁of▁sentence｜>"),
            (R1_ASKED_ON + "<think>\n", "One more.\n</think>\n\nFive it is.<｜end▁of▁sentence｜>"),
        ],
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_stock_template_gives_the_expected_pieces(name: str, chat_tokenizer: Any) -> None:
    plain, thoughtful = EXPECTED[name]
    form = ChatForm(chat_tokenizer(name))
    assert pieces(form, PLAIN) == plain
    assert pieces(form, THOUGHTFUL) == thoughtful


@pytest.mark.parametrize("name", FAMILIES)
def test_the_last_turn_alone_is_shown_all_that_came_before(name: str, chat_tokenizer: Any) -> None:
    for conversation, expected in zip((PLAIN, THOUGHTFUL), EXPECTED[name], strict=True):
        (sample,) = pieces(ChatForm(chat_tokenizer(name), turns="last"), conversation)
        assert sample == ("".join(expected[-1][:-1]), expected[-1][-1])


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("conversation", [PLAIN, THOUGHTFUL, talk("  Hi \n", " so \n\n", system="Be brief.")])
def test_what_is_shown_is_what_a_model_is_asked_with(
    name: str, conversation: Conversation, chat_tokenizer: Any
) -> None:
    """Up to each trained piece a sample is a prompt that the template writes for generation (one that opens thinking may be
    cut before that)."""
    tokenizer = chat_tokenizer(name)
    messages = [dict(message) for message in conversation.messages]
    if name != "qwen3":  # the other templates know no reasoning_content
        for message in messages:
            if thinking := message.pop("reasoning_content", None):
                message["content"] = f"<think>\n{thinking}\n</think>\n\n{message['content']}"
    asked = {
        tokenizer.apply_chat_template(messages[:i], tokenize=False, add_generation_prompt=True)
        for i, message in enumerate(messages)
        if message["role"] == "assistant"
    }
    for sample in render_samples(ChatForm(tokenizer), conversation):
        for end in range(1, len(sample.pieces), 2):
            shown = "".join(sample.pieces[:end])
            assert shown in asked or shown + "<think>\n" in asked


@pytest.mark.parametrize("name", ["qwen2.5-base", "qwen3", "llama-3.1"])
def test_inline_thinking_is_the_same_as_reasoning_content(name: str, chat_tokenizer: Any) -> None:
    inline = talk(ASK, f"<think>\nTwo and two.\n</think>\n\n{ANSWER}", ASK_ON, THINK_2)
    assert pieces(ChatForm(chat_tokenizer(name)), inline) == EXPECTED[name][1]


def test_thinking_that_a_prompt_opens_may_come_without_its_opening(chat_tokenizer: Any) -> None:
    """As a model writes it whose prompt ended with <think>."""
    form = ChatForm(chat_tokenizer("r1-distill"))
    expected = [(R1_ASKED + "<think>\n", "Two.\n</think>\n\nFour it is.<｜end▁of▁sentence｜>")]
    assert pieces(form, talk(ASK, "Two.\n</think>\n\nFour it is.")) == expected
    assert pieces(form, talk(ASK, "<think>\nTwo.\n</think>\n\nFour it is.")) == expected


def test_thinking_left_empty_on_purpose_is_closed_after_the_prompt(chat_tokenizer: Any) -> None:
    form = ChatForm(chat_tokenizer("r1-distill"))
    assert pieces(form, talk(ASK, "<think>\n\n</think>\n\nFour it is.")) == [
        (R1_ASKED + "<think>\n", "</think>\n\nFour it is.<｜end▁of▁sentence｜>")
    ]


def test_thinking_that_is_a_part_of_the_answer_is_missed_all_the_same(chat_tokenizer: Any) -> None:
    form = ChatForm(chat_tokenizer("r1-distill"))
    for thought, answer in (("4", "4"), ("it is", "Four it is."), ("Four it is.", "it is")):
        assert pieces(form, talk(ASK, answer, thinking=(thought,))) == [
            (R1_ASKED + "<think>\n", f"{thought}\n</think>\n\n{answer}<｜end▁of▁sentence｜>")
        ]


def test_thinking_before_tool_calls_cannot_be_put_back(chat_tokenizer: Any) -> None:
    call = {"role": "assistant", "content": "<think>\nadd\n</think>\n\nso", "tool_calls": [{"name": "add"}]}
    conversation = Conversation("line 1", ({"role": "user", "content": ASK}, call))
    with pytest.raises(DataError, match=r"line 1, message 2: .* with tool calls, which cannot be put back"):
        render_samples(ChatForm(chat_tokenizer("r1-distill")), conversation)


def test_dropped_thinking_can_stay_dropped_or_be_refused(chat_tokenizer: Any) -> None:
    tokenizer = chat_tokenizer("r1-distill")
    conversation = talk(ASK, ANSWER, thinking=("Two and two.",))
    assert pieces(ChatForm(tokenizer, dropped_thinking="drop"), conversation) == [
        (R1_ASKED, "\n\nFour it is.<｜end▁of▁sentence｜>")
    ]
    with pytest.raises(
        DataError, match=r"data.jsonl line 7, message 2: the chat template drops the thinking"
    ):
        render_samples(ChatForm(tokenizer, dropped_thinking="error"), conversation)


def test_thinking_is_put_back_behind_a_prompt_that_does_not_open_it(chat_tokenizer: Any) -> None:
    template = CHATML.replace("m.content", "m.content.split('</think>')[-1].lstrip()")
    form = ChatForm(chat_tokenizer("qwen2.5-base", template=template))
    assert pieces(form, THOUGHTFUL) == [
        (
            "<|im_start|>user\nWhat is two plus two?<|im_end|>\n<|im_start|>assistant\n",
            THINK_1 + "<|im_end|>",
        ),
        (
            "<|im_start|>user\nWhat is two plus two?<|im_end|>\n<|im_start|>assistant\nFour it is.<|im_end|>\n"
            "<|im_start|>user\nAnd three?<|im_end|>\n<|im_start|>assistant\n",
            THINK_2 + "<|im_end|>",
        ),
    ]


def test_a_system_message_is_put_before_conversations_without_one(chat_tokenizer: Any) -> None:
    form = ChatForm(chat_tokenizer("qwen2.5-instruct"), system="Be brief.")
    ((shown, _),) = pieces(form, talk(ASK, ANSWER))
    assert shown.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")
    ((shown, _),) = pieces(form, talk(ASK, ANSWER, system="Be long."))
    assert shown.startswith("<|im_start|>system\nBe long.<|im_end|>\n<|im_start|>user\n")


def test_variables_reach_the_template(chat_tokenizer: Any) -> None:
    form = ChatForm(chat_tokenizer("llama-3.1"), variables={"date_string": "01 Jan 2025"})
    assert "Today Date: 01 Jan 2025\n" in pieces(form, PLAIN)[0][0]
    form = ChatForm(chat_tokenizer("qwen3"), variables={"enable_thinking": False})
    assert pieces(form, talk(ASK, ANSWER)) == [(QWEN3_ASKED + NO_THOUGHT, "Four it is.<|im_end|>")]
    with pytest.raises(DataError, match="renders the conversation before this turn differently"):
        render_samples(form, THOUGHTFUL)


def test_a_turn_ends_with_the_first_token_behind_it(chat_tokenizer: Any) -> None:
    """Generation stops there; what the template writes after it is shown."""
    template = CHATML.replace("<|im_end|>", "<|im_end|>\n<|endoftext|>")
    ((_, first, between, second),) = pieces(
        ChatForm(chat_tokenizer("qwen2.5-base", template=template)), PLAIN
    )
    assert (first, second) == ("Four it is.<|im_end|>", "Five it is.<|im_end|>")
    assert between.startswith("\n<|endoftext|>")


def test_tool_calls_are_part_of_the_turn(chat_tokenizer: Any) -> None:
    template = CHATML.replace(
        "{{ m.content }}", "{{ m.content }}{% for c in m.tool_calls %}<tool>{{ c.name }}</tool>{% endfor %}"
    )
    messages = (
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "add"}]},
        {"role": "tool", "content": "4"},
        {"role": "assistant", "content": "Four."},
    )
    form = ChatForm(chat_tokenizer("qwen2.5-base", template=template))
    assert pieces(form, Conversation("x", messages)) == [
        (
            "<|im_start|>user\ngo<|im_end|>\n<|im_start|>assistant\n",
            "<tool>add</tool><|im_end|>",
            "\n<|im_start|>tool\n4<|im_end|>\n<|im_start|>assistant\n",
            "Four.<|im_end|>",
        )
    ]


@pytest.mark.parametrize(
    ("template", "error", "message"),
    [
        (CHATML.replace("<|im_end|>", "###"), ConfigError, "holds none of the tokenizer's special tokens"),
        (
            CHATML.replace("m.content", "m.content.replace('Four', 'Five')"),
            DataError,
            "drops or changes the text 'Four",
        ),
        (CHATML.replace("{{ m.content }}", ""), DataError, "shows the assistant's text 0 times"),
        (
            CHATML.replace("m.content", "m.content ~ m.content"),
            DataError,
            "shows the assistant's text 2 times",
        ),
        (
            "{{ raise_exception('no') }}",
            DataError,
            "data.jsonl line 7, message 2: the chat template refuses .*no",
        ),
        (CHATML + "{{ strftime_now('%d') }}", ConfigError, "writes today's date"),
        (
            "{% for m in messages if m.role == 'assistant' %}{{ m.content }}<|im_end|>{% endfor %}",
            DataError,
            "nothing is shown before the assistant's text",
        ),
        (
            CHATML.replace("<|im_end|>", "{{ '<|im_end|>' if 'it' not in m.content else '<|endoftext|>' }}"),
            DataError,
            "ends this turn with",
        ),
        (
            "{{ messages | length if add_generation_prompt else '' }}" + CHATML,
            DataError,
            "renders the conversation before this turn differently",
        ),
        (
            CHATML.replace("m.content", "m.content.split('</think>')[-1]").replace(
                "assistant\n{% endif", "assistant\nAh! {% endif"
            ),
            DataError,
            "opens the turn with 'Ah! ', and its text begins with '<think>",
        ),
    ],
)
def test_templates_that_cannot_be_trained_on(
    template: str, error: type[Exception], message: str, chat_tokenizer: Any
) -> None:
    form = ChatForm(chat_tokenizer("qwen2.5-base", template=template))
    conversation = talk(ASK, ANSWER, thinking=("Two.",)) if "Ah!" in template else talk(ASK, ANSWER)
    with pytest.raises(error, match=message):
        render_samples(form, conversation)


def test_gemma_refuses_roles_that_do_not_alternate(chat_tokenizer: Any) -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    with pytest.raises(DataError, match=r"message 3: the chat template refuses .*must alternate"):
        render_samples(ChatForm(chat_tokenizer("gemma-3")), Conversation("x", tuple(messages)))
