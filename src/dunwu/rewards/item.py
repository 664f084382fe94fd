"""What a reward's parts are computed from: one completion, cut into thinking and final answer. Judges nothing.

A part function has the form `f(item: GradingItem, config) -> RewardPart`. Made by `grading`.
"""

from dataclasses import dataclass

from dunwu.records import FinishReason, Problem


@dataclass(frozen=True)
class GradingItem:
    """One completion as the parts of a reward see it.

    Args:
        problem: what was asked.
        text: the whole completion, decoded without special tokens.
        finish_reason: why the completion ended.
        num_tokens: completion tokens, the end-of-sequence token included; None where nobody counted them.
        answer: the final answer as the policy wrote it, None if there is none.
        reasoning: the chain of thought without its marks, None if the completion has none. Thinking that was
            never closed counts as chain of thought.
        summary: what follows the thinking, None while it is still open (`output_form.Split`).
        prompt_text: the text that the policy continued, the template included; "" where it is not known.
    """

    problem: Problem
    text: str
    finish_reason: FinishReason = "stop"
    num_tokens: int | None = None
    answer: str | None = None
    reasoning: str | None = None
    summary: str | None = None
    prompt_text: str = ""
