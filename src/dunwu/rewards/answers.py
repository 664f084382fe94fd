"""Finds the final answer in what follows a completion's thinking. Judges nothing; called by `grading`.

All searches are linear in the text, whatever it holds: they run in the training process, on text that a
policy wrote.
"""

import re
from typing import Literal

from dunwu.config.output_form import OutputForm, ThinkAnswerForm
from dunwu.records import FinishReason
from dunwu.rewards.output_form import ANSWER_OPEN, split

AnswerSource = Literal["answer_tag", "boxed", "text"]

_BOXED_OR_BRACE = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)
_ANSWER_TAG = re.compile(r"</?answer>")


def final_summary(text: str, form: OutputForm) -> str | None:
    """Return what the user is to read of a completion, without marks: what follows the thinking, and in R1-Zero's form what the
    last <answer> there holds ("" without one). None while thinking is still open."""
    summary = split(text, form).summary
    if summary is not None and isinstance(form, ThinkAnswerForm):
        summary = last_tagged(summary) or ""
    return None if summary is None else summary.strip()


def last_tagged(text: str) -> str | None:
    """Return what the last complete, innermost `<answer>...</answer>` holds, None without one."""
    found, start = None, -1
    for tag in _ANSWER_TAG.finditer(text):
        if tag.group() == ANSWER_OPEN:
            start = tag.end()
        elif start >= 0:
            found, start = text[start : tag.start()], -1
    return found


def last_boxed(text: str) -> str | None:
    """Return what the last complete `\\boxed{...}` holds, nested braces included; None without one.

    Escaped braces do not count as braces. Of boxes in boxes the inner one is last.
    """
    found, found_start = None, -1
    stack: list[tuple[bool, int]] = []  # of open braces: is it a box, and where does its content begin
    for mark in _BOXED_OR_BRACE.finditer(text):
        token = mark.group()
        if token == "{" or token.startswith("\\boxed"):
            stack.append((token != "{", mark.end()))
        elif token == "}" and stack:
            is_box, start = stack.pop()
            if is_box and start > found_start:
                found, found_start = text[start : mark.start()], start
    return found


def extract_answer(
    summary: str | None, source: AnswerSource, *, finish_reason: FinishReason = "stop"
) -> str | None:
    """Return the final answer as the policy wrote it, without outer white space; None if there is none.

    Args:
        summary: what follows the thinking (`output_form.split`); None while thinking is still open.
        source: where in it the answer is looked for.
        finish_reason: of the completion; with source "text" a completion cut at its token limit has no final
            answer, because its last number may be half a number. Closed tags and boxes are complete whatever
            comes after them.
    Departures: where the answer is looked for is not stated in the paper beyond "in a specified format (e.g.,
        within a box)".
    """
    if summary is None:
        return None
    match source:
        case "answer_tag":
            answer = last_tagged(summary)
        case "boxed":
            answer = last_boxed(summary)
        case "text":
            answer = summary if finish_reason == "stop" else None
    return (answer or "").strip() or None
