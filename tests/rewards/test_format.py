"""What a right format is in every output form, and a name for everything that is wrong."""

import pytest

from dunwu.config.output_form import (
    OutputForm,
    PlainForm,
    SpecialTokenForm,
    ThinkAnswerForm,
    ThinkForm,
)
from dunwu.records import Problem
from dunwu.rewards.format import format_fault, format_part
from dunwu.rewards.item import GradingItem

TAGS = ThinkAnswerForm()
THINK = ThinkForm(opened_by_prompt=False)
SAME = SpecialTokenForm()
TWO = SpecialTokenForm(opening="[R]", separator="[S]")
PROBLEM = Problem("p", "sum", "2 + 3?", "5", "math")

RIGHT = [
    "<think>a</think><answer>b</answer>",
    " <think>\na\n</think>\n\n<answer>\nb\n</answer>\n",
    "<think>1 < 2 and <b>bold</b></think> <answer>\\boxed{5}</answer>",
    "<think>想一想</think>\n<answer>五</answer>",
]
WRONG = [
    ("", "<think> is missing"),
    ("5", "<think> is missing"),
    ("<think></think><answer>b</answer>", "the think block is empty"),
    ("<think> \n </think><answer>b</answer>", "the think block is empty"),
    ("<think>a</think><answer></answer>", "the answer block is empty"),
    ("<think>a</think><answer>  </answer>", "the answer block is empty"),
    ("<think>a</think>", "<answer> is missing"),
    ("<think>a</think>b", "<answer> is missing"),
    ("<think>a</think><answer>b", "</answer> is missing"),
    ("<think>a<answer>b</answer>", "</think> is missing"),
    ("a</think><answer>b</answer>", "<think> is missing"),
    ("<think>a</think></think><answer>b</answer>", "</think> occurs 2 times"),
    ("<think>a</think><answer>b</answer></think>", "</think> occurs 2 times"),
    ("<think><think>a</think><answer>b</answer>", "<think> occurs 2 times"),
    ("<think>a</think><think>c</think><answer>b</answer>", "<think> occurs 2 times"),
    ("<think>a</think><answer>b</answer><answer>c</answer>", "<answer> occurs 2 times"),
    ("<think>a</think><answer>b</answer></answer>", "</answer> occurs 2 times"),
    ("so <think>a</think><answer>b</answer>", "text before <think>"),
    ("<think>a</think> so <answer>b</answer>", "text between </think> and <answer>"),
    ("<think>a</think><answer>b</answer> done", "text after </answer>"),
    ("<think>a</think><answer>b</answer><|endoftext|>", "text after </answer>"),
    ("<think>a</think><answer>b</answer>User: next", "text after </answer>"),
    ("<answer>b</answer><think>a</think>", "order <answer> </answer> <think> </think>"),
    ("</think>a<think><answer>b</answer>", "order </think> <think>"),
    ("<think>a</think></answer>b<answer>", "order <think> </think> </answer> <answer>"),
    ("<think>a<answer>b</answer></think>", "order <think> <answer> </answer> </think>"),
    ("<Think>a</Think><answer>b</answer>", "<think> is missing"),
    ("< think>a</think><answer>b</answer>", "<think> is missing"),
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_format_is_one(text: str) -> None:
    part = format_part(GradingItem(PROBLEM, text), TAGS)
    assert (part.value, part.status, part.detail) == (1.0, "ok", "")


@pytest.mark.parametrize(("text", "fault"), WRONG)
def test_wrong_format_is_zero_and_says_why(text: str, fault: str) -> None:
    part = format_part(GradingItem(PROBLEM, text), TAGS)
    assert (part.value, part.status) == (0.0, "ok")
    assert fault in part.detail


OTHER_FORMS: list[tuple[OutputForm, str, str | None]] = [
    (ThinkAnswerForm(opened_by_prompt=True), "a</think><answer>b</answer>", None),
    (ThinkAnswerForm(opened_by_prompt=True), "\n a </think>\n<answer>b</answer>", None),
    (
        ThinkAnswerForm(opened_by_prompt=True),
        "<think>a</think><answer>b</answer>",
        "opened by the prompt and again",
    ),
    (ThinkAnswerForm(opened_by_prompt=True), "</think><answer>b</answer>", "the think block is empty"),
    (ThinkAnswerForm(opened_by_prompt=True), "a<answer>b</answer>", "</think> is missing"),
    (ThinkAnswerForm(opened_by_prompt=True), "a</think>b", "<answer> is missing"),
    (THINK, "<think>\na\n</think>\n\nb", None),
    (THINK, "<think>a</think><answer>b</answer>", None),
    (THINK, "<think></think>b", "the think block is empty"),
    (THINK, "<think>a</think>", "the answer after </think> is empty"),
    (THINK, "<think>a</think> \n", "the answer after </think> is empty"),
    (THINK, "<think>a</think>b</think>", "</think> occurs 2 times"),
    (THINK, "<think>a</think>b<think>", "<think> occurs 2 times"),
    (THINK, "so <think>a</think>b", "text before <think>"),
    (THINK, "</think>a<think>b", "order </think> <think>"),
    (THINK, "b", "<think> is missing"),
    (ThinkForm(), "a\n</think>\n\nb", None),
    (ThinkForm(), "<think>a</think>b", "opened by the prompt and again"),
    (ThinkForm(), "a", "</think> is missing"),
    (ThinkForm(), "</think>b", "the think block is empty"),
    (ThinkForm(boxed=True), r"a</think>so \boxed{5}", None),
    (ThinkForm(boxed=True), r"so \boxed{5}</think>5", "no \\boxed{...}"),
    (ThinkForm(boxed=True), r"a</think>\boxed{ }", "no \\boxed{...}"),
    (ThinkForm(boxed=True), r"a</think>\boxed{5", "no \\boxed{...}"),
    (SAME, "|special_token|a|special_token|b", None),
    (SAME, "\n|special_token| a |special_token| b\n", None),
    (SAME, "|special_token|a", "|special_token| occurs 1 times, not 2"),
    (SAME, "a|special_token|b", "|special_token| occurs 1 times, not 2"),
    (SAME, "|special_token|a|special_token|b|special_token|", "|special_token| occurs 3 times, not 2"),
    (SAME, "|special_token|a|special_token|", "the summary is empty"),
    (SAME, "|special_token| |special_token|b", "the reasoning process is empty"),
    (SAME, "so |special_token|a|special_token|b", "text before the opening |special_token|"),
    (SAME, "<think>a</think>b", "|special_token| is missing"),
    (SpecialTokenForm(opened_by_prompt=True), "a|special_token|b", None),
    (SpecialTokenForm(opened_by_prompt=True), "|special_token|b", "the reasoning process is empty"),
    (SpecialTokenForm(opened_by_prompt=True), "|special_token|a|special_token|b", "occurs 2 times"),
    (TWO, "[R]a[S]b", None),
    (TWO, "[S]a[R]b", "order [S] [R]"),
    (TWO, "[R]a[R]b", "[R] occurs 2 times"),
    (TWO, "[R]a[S]b[S]c", "[S] occurs 2 times"),
    (TWO, "[R]a", "[S] is missing"),
    (
        SpecialTokenForm(opening="[R]", separator="[S]", opened_by_prompt=True),
        "[R]a[S]b",
        "opened by the prompt",
    ),
    (PlainForm(), "b", None),
    (PlainForm(), " \n", "the completion is empty"),
]


@pytest.mark.parametrize(("form", "text", "fault"), OTHER_FORMS)
def test_every_output_form_has_its_own_faults(form: OutputForm, text: str, fault: str | None) -> None:
    found = format_fault(text, form)
    assert found is None if fault is None else fault in str(found)


def test_a_text_cut_at_the_limit_is_right_only_where_a_mark_closed_it() -> None:
    assert format_fault("<think>a</think><answer>b</answer>", TAGS, "length") is None
    assert (
        format_fault("<think>a</think>b", THINK, "length")
        == "the answer after </think> was cut at the token limit"
    )
    assert format_fault("[R]a[S]b", TWO, "length") == "the summary was cut at the token limit"
    assert format_part(GradingItem(PROBLEM, "b", "length"), PlainForm()).value == 0.0
