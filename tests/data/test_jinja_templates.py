"""The forms of base models as chat templates: rendered by transformers, to the letter."""

from pathlib import Path
from typing import Any

import pytest

from dunwu.config.sft import R1Template, SftChatTemplate
from dunwu.config.task import ChatTemplate, PlainTemplate, R1ZeroTemplate
from dunwu.data.chat import ChatForm, render_samples
from dunwu.data.conversations import Conversation
from dunwu.data.jinja_templates import chat_template_of
from dunwu.data.templates import render
from dunwu.errors import ConfigError, DataError
from dunwu.records import Problem

ASK = {"role": "user", "content": "2 + {2}?"}
ANSWER = {"role": "assistant", "content": "It is 4.", "reasoning_content": "two and two"}


def pieces(tokenizer: Any, template: Any, *messages: dict[str, Any]) -> list[tuple[str, ...]]:
    tokenizer.chat_template = chat_template_of(template, tokenizer)
    return [s.pieces for s in render_samples(ChatForm(tokenizer), Conversation("line 1", messages))]


def test_r1_writes_its_readable_form(chat_tokenizer: Any) -> None:
    tokenizer = chat_tokenizer("qwen2.5-base")
    assert pieces(tokenizer, R1Template(), ASK, ANSWER) == [
        ("User: 2 + {2}?\n\nAssistant:\n", "<think>\ntwo and two\n</think>\n\nIt is 4.<|endoftext|>")
    ]
    special = R1Template(opening="|special_token|", separator="|special_token|")
    assert pieces(tokenizer, special, ASK, ANSWER) == [
        (
            "User: 2 + {2}?\n\nAssistant:\n",
            "|special_token|two and two|special_token|It is 4.<|endoftext|>",
        )
    ]


def test_r1_takes_inline_thinking_and_answers_without_any(chat_tokenizer: Any) -> None:
    tokenizer = chat_tokenizer("qwen2.5-base")
    special = R1Template(opening="[", separator="]")
    inline = {"role": "assistant", "content": "<think>\ntwo\n</think>\n\nIt is 4."}
    bare = {"role": "assistant", "content": "It is 4."}
    assert pieces(tokenizer, special, ASK, inline)[0][1] == "[two]It is 4.<|endoftext|>"
    assert pieces(tokenizer, special, ASK, bare)[0][1] == "It is 4.<|endoftext|>"


def test_r1_shows_earlier_answers_without_their_thinking(chat_tokenizer: Any) -> None:
    tokenizer = chat_tokenizer("llama-3.1")
    more = {"role": "user", "content": "And 3?"}
    system = {"role": "system", "content": "Be brief."}
    first, second = pieces(tokenizer, R1Template(), system, ASK, ANSWER, more, ANSWER)
    start = "<|begin_of_text|>Be brief.\n\nUser: 2 + {2}?\n\nAssistant:\n"
    written = "<think>\ntwo and two\n</think>\n\nIt is 4.<|eot_id|>"
    assert first == (start, written)
    assert second == (start + "It is 4.<|eot_id|>\n\nUser: And 3?\n\nAssistant:\n", written)
    bare = {"role": "assistant", "content": "It is 4."}
    assert pieces(tokenizer, R1Template(), ASK, bare, more, bare) == [
        (
            "<|begin_of_text|>User: 2 + {2}?\n\nAssistant:\n",
            "It is 4.<|eot_id|>",
            "\n\nUser: And 3?\n\nAssistant:\n",
            "It is 4.<|eot_id|>",
        )
    ]


def test_r1_texts_stay_what_they_are(chat_tokenizer: Any) -> None:
    """Quotes, Jinja marks and words in capitals are text, not template."""
    odd = 'END {{ PREFIX }} "q" \\n 顿🙂'
    template = R1Template(opening=odd, separator=odd, user_start=odd, user_end=odd, assistant_start=odd)
    ((shown, trained),) = pieces(chat_tokenizer("qwen2.5-base"), template, ASK, ANSWER)
    assert shown == f"{odd}2 + {{2}}?{odd}{odd}"
    assert trained == f"{odd}two and two{odd}It is 4.<|endoftext|>"


def test_r1_refuses_other_roles(chat_tokenizer: Any) -> None:
    with pytest.raises(DataError, match="knows system, user and assistant, not tool"):
        pieces(chat_tokenizer("qwen2.5-base"), R1Template(), ASK, {"role": "tool", "content": "x"}, ANSWER)


@pytest.mark.parametrize("name", ["qwen2.5-base", "llama-3.1", "gemma-3"])
@pytest.mark.parametrize(
    "template", [R1ZeroTemplate(), PlainTemplate(text="Q: {question} ({question})\nA:"), PlainTemplate()]
)
def test_one_question_is_asked_as_in_reinforcement_learning(
    template: Any, name: str, chat_tokenizer: Any
) -> None:
    tokenizer = chat_tokenizer(name)
    prompt = render(template, Problem("p", "k", ASK["content"], "4", "math"), tokenizer)
    ((shown, _),) = pieces(tokenizer, template, ASK, ANSWER)
    assert tuple(tokenizer(shown, add_special_tokens=False)["input_ids"]) == prompt.token_ids
    # and so is the trained model asked, through its chat template
    chat = render(ChatTemplate(), prompt.problem, tokenizer)
    assert chat.token_ids == prompt.token_ids


def test_r1_zero_answers_stand_in_its_tags(chat_tokenizer: Any) -> None:
    tokenizer = chat_tokenizer("qwen2.5-base")
    expected = " <think> two and two </think> <answer> It is 4. </answer><|endoftext|>"
    assert pieces(tokenizer, R1ZeroTemplate(), ASK, ANSWER)[0][1] == expected
    whole = {
        "role": "assistant",
        "content": "<think> two and two </think> <answer> It is 4. </answer>",
    }
    assert pieces(tokenizer, R1ZeroTemplate(), ASK, whole)[0][1] == expected


def test_plain_answers_are_verbatim(chat_tokenizer: Any) -> None:
    answer = {"role": "assistant", "content": "  4, or so. "}
    ((shown, trained),) = pieces(
        chat_tokenizer("qwen2.5-base"), PlainTemplate(text="{question}"), ASK, answer
    )
    assert (shown, trained) == ("2 + {2}?", "  4, or so. <|endoftext|>")


@pytest.mark.parametrize(
    "messages", [({"role": "system", "content": "x"}, ASK, ANSWER), (ASK, ANSWER, ASK, ANSWER)]
)
def test_one_question_has_no_system_message_and_no_second_turn(messages: Any, chat_tokenizer: Any) -> None:
    with pytest.raises(DataError, match="this form holds one question and its answer"):
        pieces(chat_tokenizer("qwen2.5-base"), R1ZeroTemplate(), *messages)


def test_a_template_from_a_file_replaces_the_models_own(chat_tokenizer: Any, tmp_path: Path) -> None:
    tokenizer = chat_tokenizer("qwen2.5-base")
    own = tokenizer.chat_template
    assert chat_template_of(SftChatTemplate(), tokenizer) == own
    tokenizer.chat_template = {"tool_use": "{{ tools }}", "default": own}
    assert chat_template_of(SftChatTemplate(), tokenizer) == own
    path = tmp_path / "mine.jinja"
    path.write_text("{{ messages[0].content }}", encoding="utf-8")
    assert chat_template_of(SftChatTemplate(file=str(path)), tokenizer) == "{{ messages[0].content }}"
    with pytest.raises(ConfigError, match=r"template.file .*other.jinja cannot be read"):
        chat_template_of(SftChatTemplate(file=str(tmp_path / "other.jinja")), tokenizer)


def test_a_form_that_the_model_cannot_serve_is_refused(chat_tokenizer: Any) -> None:
    tokenizer = chat_tokenizer("qwen2.5-base")
    tokenizer.chat_template = None
    with pytest.raises(ConfigError, match=r"has no chat template; give template.file, or use kind r1"):
        chat_template_of(SftChatTemplate(), tokenizer)
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match="has no end-of-sequence token"):
        chat_template_of(R1Template(), tokenizer)
