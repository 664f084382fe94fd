"""Which completions are fit to be learned from as text: no mixed languages, no endless repetition, no stray marks.

Says nothing of whether an answer is right. Called by the stages that make data and by the comparison of
stages.
"""

import re

from dunwu.config.output_form import OutputForm, PlainForm
from dunwu.config.sampled_data import ReadabilityConfig
from dunwu.config.shaping import LanguageReward, RepetitionReward
from dunwu.records import FinishReason, Problem, RewardPart
from dunwu.rewards.answers import final_summary
from dunwu.rewards.item import GradingItem
from dunwu.rewards.language import language_part
from dunwu.rewards.output_form import (
    ANSWER_CLOSE,
    ANSWER_OPEN,
    THINK_CLOSE,
    THINK_OPEN,
    all_marks,
    split,
)
from dunwu.rewards.repetition import repetition_part

_CODE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_ROLES = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?(?:s|tool_call|tool_response)>")
_MARKS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)


def unreadable(
    problem: Problem, thinking: str, summary: str, config: ReadabilityConfig, form: OutputForm
) -> str | None:
    """Name the first reason for which thinking and summary are not fit to be read, None if there is none.

    Args:
        thinking: without the marks around it; "" where nothing was thought.
        summary: what the user is to read, without marks.
        form: whose marks must not stand inside either.
    Returns:
        "no_summary", "stray_marks", "thinking_too_short", "thinking_too_long", "long_paragraph", "code_block", "repetition",
        "mixed_language" or "unknown_language", looked for in this order.
    Departures: thresholds and their measures are not stated in the paper.
    """
    if not summary.strip():
        return "no_summary"
    if has_stray_marks(thinking, form) or has_stray_marks(summary, form):
        return "stray_marks"
    length = len(thinking.strip())
    if length < config.min_thinking_chars:
        return "thinking_too_short"
    if config.max_thinking_chars is not None and length > config.max_thinking_chars:
        return "thinking_too_long"
    if config.max_paragraph_chars is not None and longest_paragraph(thinking) > config.max_paragraph_chars:
        return "long_paragraph"
    if config.code_blocks == "drop" and _CODE.search(thinking):
        return "code_block"
    if repeated_share(problem, thinking, config.ngram_size) > config.max_repeated_share:
        return "repetition"
    return _language_fault(problem, thinking, config) or _language_fault(problem, summary, config)


def has_stray_marks(text: str, form: OutputForm) -> bool:
    """Whether a text holds a mark of thinking or answer, or a token that only chat templates write."""
    return any(mark in text for mark in {*_MARKS, *all_marks(form)}) or bool(_ROLES.search(text))


def longest_paragraph(text: str) -> int:
    """Return the characters of the longest paragraph; without empty lines every line is one."""
    paragraphs = re.split(r"\n\s*\n", text) if re.search(r"\n\s*\n", text) else text.split("\n")
    return max(len(paragraph.strip()) for paragraph in paragraphs)


def repeated_share(problem: Problem, text: str, ngram_size: int) -> float:
    """Return the share of n-grams that occurred before, by the repetition reward's measure."""
    part = repetition_part(
        GradingItem(problem, text), RepetitionReward(ngram_size=ngram_size, max_penalty=-1.0)
    )
    return -(part.value or 0.0)


def _language_fault(problem: Problem, text: str, config: ReadabilityConfig) -> str | None:
    """Measure by the language reward; text without words is in no wrong language."""
    item = GradingItem(problem, text, reasoning=text)
    part = language_part(item, LanguageReward(languages=config.languages))
    if part.status == "not_gradable":
        return "unknown_language"
    return "mixed_language" if part.value is not None and part.value < config.min_language_share else None


def readability_part(
    problem: Problem, text: str, finish_reason: FinishReason, config: ReadabilityConfig, form: OutputForm
) -> RewardPart:
    """Return 1 for a completion that is fit to be read, and 0, with the first reason, for one that is not.

    Returns:
        The detail is "cut" where the completion was cut at its token limit, "thinking_not_closed", or a reason of `unreadable`.
    """
    summary = final_summary(text, form)
    if finish_reason == "length":
        return RewardPart(0.0, detail="cut")
    if summary is None:
        return RewardPart(0.0, detail="thinking_not_closed")
    thinking = "" if isinstance(form, PlainForm) else (split(text, form).reasoning or "")
    fault = unreadable(problem, thinking.strip(), summary, config, form)
    return RewardPart(1.0) if fault is None else RewardPart(0.0, detail=fault)
