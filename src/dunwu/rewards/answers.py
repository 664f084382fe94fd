"""Finds the final answer in a completion's text. Judges nothing; called by `grading`.

All searches are linear in the text, whatever it holds: they run in the training process, on text that a
policy wrote.
"""

import re
from typing import Literal

from dunwu.records import FinishReason

AnswerSource = Literal["answer_tag", "boxed", "text"]

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"

_BOXED_OR_BRACE = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)
_ANSWER_TAG = re.compile(r"</?answer>")


def answer_region(text: str, *, think_opened_by_prompt: bool = False) -> str | None:
    """Return the part of a completion in which a final answer may stand.

    That is what follows the last `</think>`, up to a `<think>` that is opened again; the whole text where
    nothing was thought; None while thinking is still open.

    Args:
        text: the completion, decoded.
        think_opened_by_prompt: the prompt ended with `<think>`, so a text without `</think>` is all thinking.
    """
    closed = text.rfind(THINK_CLOSE)
    if closed < 0:
        return None if think_opened_by_prompt or THINK_OPEN in text else text
    region = text[closed + len(THINK_CLOSE) :]
    return region.partition(THINK_OPEN)[0]


def reasoning_region(text: str, *, think_opened_by_prompt: bool = False) -> str | None:
    """Return a completion's chain of thought, without its marks; None where nothing was thought.

    That is what stands between the first `<think>` (the beginning, where the prompt opened it) and the last
    `</think>`, or the end of the text where thinking was never closed.
    """
    if think_opened_by_prompt:
        start = 0
    else:
        opened = text.find(THINK_OPEN)
        start = 0 if opened < 0 else opened + len(THINK_OPEN)
        if opened < 0 and THINK_CLOSE not in text:
            return None
    closed = text.rfind(THINK_CLOSE)
    return text[start:] if closed < start else text[start:closed]


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
    text: str,
    source: AnswerSource,
    *,
    finish_reason: FinishReason = "stop",
    think_opened_by_prompt: bool = False,
) -> str | None:
    """Return the final answer as the policy wrote it, without outer white space; None if there is none.

    Args:
        text: the completion, decoded.
        source: where the answer is looked for, always after thinking has ended (`answer_region`).
        finish_reason: of the completion; with source "text" a completion cut at its token limit has no final
            answer, because its last number may be half a number. Closed tags and boxes are complete whatever
            comes after them.
        think_opened_by_prompt: as in `answer_region`.
    Departures: where the answer is looked for is not stated in the paper beyond "in a specified format (e.g.,
        within a box)".
    """
    region = answer_region(text, think_opened_by_prompt=think_opened_by_prompt)
    if region is None:
        return None
    match source:
        case "answer_tag":
            answer = last_tagged(region)
        case "boxed":
            answer = last_boxed(region)
        case "text":
            answer = region if finish_reason == "stop" else None
    return (answer or "").strip() or None
