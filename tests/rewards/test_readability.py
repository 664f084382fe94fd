"""Each reason for which a text is not fit to be read, and that nothing else is one."""

import pytest

from dunwu.config.output_form import PlainForm, SpecialTokenForm, ThinkAnswerForm, ThinkForm
from dunwu.config.sampled_data import ReadabilityConfig
from dunwu.records import Problem
from dunwu.rewards.readability import longest_paragraph, readability_part, repeated_share, unreadable

ENGLISH = Problem("a", "sum", "What is 1+2?", "3", "numeric", "en")
CHINESE = Problem("b", "sum", "1+2等于多少？", "3", "numeric", "zh")
GOOD = "I add the two numbers and look at the sum again, because a slip is made easily."
FORM = ThinkForm(opened_by_prompt=False)


def reason(thinking=GOOD, summary="The answer is 3.", *, problem=ENGLISH, form=FORM, **config):
    return unreadable(problem, thinking, summary, ReadabilityConfig(**config), form)


def test_good_text_is_fit_in_both_languages():
    assert reason() is None
    assert reason("我把两个数加起来，再检查一遍。", "答案是3。", problem=CHINESE) is None
    assert reason("1+2=3", "3") is None  # without words there is no wrong language


@pytest.mark.parametrize(
    ("thinking", "summary", "config", "expected"),
    [
        (GOOD, "  ", {}, "no_summary"),
        (f"{GOOD} </think> more", "3", {}, "stray_marks"),
        (GOOD, "<answer>3</answer>", {}, "stray_marks"),
        (f"{GOOD}<|im_start|>", "3", {}, "stray_marks"),
        ("", "3", {}, "thinking_too_short"),
        (GOOD, "3", {"min_thinking_chars": 500}, "thinking_too_short"),
        (GOOD, "3", {"max_thinking_chars": 20}, "thinking_too_long"),
        (GOOD, "3", {"max_paragraph_chars": 20}, "long_paragraph"),
        (f"{GOOD}\n```python\nprint(3)\n```", "3", {"code_blocks": "drop"}, "code_block"),
        ("I add one and two again and again. " * 9, "3", {}, "repetition"),
        ("我把两个数加起来，再检查一遍。", "3", {}, "mixed_language"),
        (GOOD, "答案是三。", {}, "mixed_language"),
    ],
)
def test_each_reason_is_named(thinking, summary, config, expected):
    assert reason(thinking, summary, **config) == expected


def test_limits_are_what_the_recipe_says():
    code = f"{GOOD}\n```python\nprint(3)\n```"
    assert reason(code) is None
    assert reason("I add one and two again and again. " * 9, max_repeated_share=1.0) is None
    assert reason("", min_thinking_chars=0) is None
    mixed = GOOD + " 好的。"
    assert reason(mixed) == "mixed_language"
    assert reason(mixed, min_language_share=0.5) is None


def test_marks_of_the_form_at_hand_are_stray_too():
    form = SpecialTokenForm()
    assert reason(f"{GOOD} |special_token|", form=form) == "stray_marks"
    assert reason(f"{GOOD} |special_token|") is None


def test_a_question_in_no_known_language_is_told():
    assert reason(problem=Problem("c", "sum", "?", "3", "numeric", "xx")) == "unknown_language"


def test_paragraphs_end_at_empty_lines_and_else_at_line_breaks():
    assert longest_paragraph("ab\ncd\n\nefg") == 5
    assert longest_paragraph("ab\ncde\nf") == 3


def test_the_repeated_share_is_counted_in_n_grams():
    # 6 units, five 2-grams: ab, bc, ca, ab, bc; the last two occurred before
    assert repeated_share(ENGLISH, "one two three one two three", 2) == pytest.approx(2 / 5)
    assert repeated_share(ENGLISH, "one", 2) == 0


@pytest.mark.parametrize(
    ("text", "finish", "form", "expected"),
    [
        (f"<think> {GOOD} </think> The answer is 3.", "stop", FORM, ""),
        (f"<think> {GOOD} </think> The answer is 3.", "length", FORM, "cut"),
        (f"<think> {GOOD}", "stop", FORM, "thinking_not_closed"),
        (f"<think> {GOOD} </think> <answer> 3 </answer>", "stop", ThinkAnswerForm(), ""),
        (f"<think> {GOOD} </think> The answer is 3.", "stop", ThinkAnswerForm(), "no_summary"),
        ("The answer is 3.", "stop", PlainForm(), ""),
        ("<think> 我把两个数加起来，再检查一遍。 </think> The answer is 3.", "stop", FORM, "mixed_language"),
    ],
)
def test_a_whole_completion_is_readable_or_says_why_not(text, finish, form, expected):
    part = readability_part(ENGLISH, text, finish, ReadabilityConfig(min_thinking_chars=0), form)
    assert (part.value, part.status, part.detail) == (0.0 if expected else 1.0, "ok", expected)
