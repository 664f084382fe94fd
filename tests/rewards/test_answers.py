"""Where the final answer is found, and where it is not."""

import time

import pytest

from dunwu.config.output_form import PlainForm, ThinkAnswerForm, ThinkForm
from dunwu.rewards.answers import extract_answer, final_summary, last_boxed, last_tagged
from dunwu.rewards.output_form import split


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>5</answer>", "5"),
        ("<answer>5</answer> no: <answer>6</answer>", "6"),
        ("<answer>5</answer> and <answer>6", "5"),
        ("<answer><answer>5</answer>", "5"),
        ("<answer>5</answer></answer>", "5"),
        ("<answer>5</answer><answer></answer>", ""),
        ("5</answer>", None),
        ("<Answer>5</Answer>", None),
        ("no tags", None),
    ],
)
def test_last_complete_tag_wins(text: str, answer: str | None) -> None:
    assert last_tagged(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{5}", "5"),
        (r"\boxed{5} then \boxed{6}", "6"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\{1}", r"\{1"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\boxed {5}", "5"),
        (r"\boxed{5} \boxed{6", "5"),
        (r"} \boxed{5}", "5"),
        (r"\boxed{5", None),
        (r"\boxed 5", None),
        ("", None),
    ],
)
def test_last_complete_box_wins_with_nested_braces(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


@pytest.mark.parametrize(
    ("text", "source", "answer"),
    [
        ("<think>x</think><answer> 5 </answer>", "answer_tag", "5"),
        ("<answer>5</answer>", "answer_tag", "5"),
        ("<think>maybe <answer>4</answer></think><answer>5</answer>", "answer_tag", "5"),
        ("<think>maybe <answer>4</answer></think> done", "answer_tag", None),
        ("<think>maybe <answer>4</answer>", "answer_tag", None),
        ("<think>x</think><answer>  </answer>", "answer_tag", None),
        (r"<think>\boxed{4}</think> so \boxed{5}", "boxed", "5"),
        (r"<think>\boxed{4}</think> so 5", "boxed", None),
        (r"so \boxed{5}", "boxed", "5"),
        ("<think>4</think>\n5\n", "text", "5"),
        ("5", "text", "5"),
        ("<think>4", "text", None),
    ],
)
def test_answer_counts_only_after_thinking(text: str, source: str, answer: str | None) -> None:
    summary = split(text, ThinkAnswerForm()).summary
    assert extract_answer(summary, source) == answer  # type: ignore[arg-type]


def test_cut_text_has_no_final_answer_but_closed_marks_are_complete() -> None:
    assert extract_answer(" 12", "text", finish_reason="length") is None
    assert extract_answer("<answer>12</answer> and", "answer_tag", finish_reason="length") == "12"
    assert extract_answer(r"\boxed{12} and", "boxed", finish_reason="length") == "12"


@pytest.mark.parametrize("piece", [r"\boxed{", "{", "<answer>", "</think>", "<think>", "\\", "}", "$", "`"])
def test_extraction_is_linear_in_hostile_text(piece: str) -> None:
    text = piece * 40_000
    start = time.process_time()
    for source in ("answer_tag", "boxed", "text"):
        extract_answer(text, source)  # type: ignore[arg-type]
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("form", "text", "summary"),
    [
        (ThinkForm(opened_by_prompt=False), "<think>a</think> b ", "b"),
        (ThinkForm(opened_by_prompt=False), "b", "b"),
        (ThinkForm(opened_by_prompt=True), "a", None),
        (ThinkAnswerForm(), "<think>a</think> so <answer> 5 </answer>", "5"),
        (ThinkAnswerForm(), "<think>a</think> so 5", ""),
        (PlainForm(), " all ", "all"),
    ],
)
def test_the_final_summary_is_what_the_user_reads(form, text, summary):
    assert final_summary(text, form) == summary
