"""The format reward: is the completion exactly what its output form asks for, nothing missing, doubled, empty or stray?

Works on the completion's text alone. The text must be decoded without special tokens other than the form's own marks: an
end-of-sequence marker such as `<|endoftext|>` that is left in it counts as stray text and makes the format wrong.
"""

from collections import Counter
from dataclasses import dataclass

from dunwu.config.output_form import OutputForm, PlainForm, SpecialTokenForm, ThinkAnswerForm, ThinkForm
from dunwu.records import FinishReason, RewardPart
from dunwu.rewards.answers import last_boxed
from dunwu.rewards.item import GradingItem
from dunwu.rewards.output_form import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, opened_by_prompt


@dataclass(frozen=True)
class _Piece:
    """What stands between two marks: text that must be there, or white space at most."""

    name: str
    must_hold_text: bool


def format_fault(text: str, form: OutputForm, finish_reason: FinishReason = "stop") -> str | None:
    """Return what is wrong with a completion's format, None if nothing is.

    Right is: every mark of the form as often as the form has it, in its order; text where the form has text; nothing but
    white space elsewhere. A form without a closing mark needs a completion that ended by itself.

    Args:
        text: the completion, decoded without special tokens other than the form's marks.
        form: where it says that the prompt opened thinking, the completion must not open it again.
        finish_reason: of the completion.
    Source: DeepSeek-R1 v1, section 2.2.2 and Table 1 (tags), section 2.3.1 (special tokens).
    Departures: the paper asks for the marks; that nothing may be missing, doubled, empty, stray or cut is ours.
    """
    marks, pieces = _layout(form)
    if opened_by_prompt(form):
        if marks[0] not in marks[1:] and marks[0] in text:
            return f"{marks[0]} is opened by the prompt and again by the completion"
        marks, pieces = marks[1:], pieces[1:]
    fault = _marks_fault(text, marks) or _pieces_fault(_split_at(text, marks), pieces)
    if fault is not None:
        return fault
    if pieces[-1].must_hold_text and finish_reason == "length":
        return f"{pieces[-1].name} was cut at the token limit"
    if isinstance(form, ThinkForm) and form.boxed:
        boxed = last_boxed(text.rpartition(THINK_CLOSE)[2])
        if boxed is None or not boxed.strip():
            return f"no \\boxed{{...}} that holds something after {THINK_CLOSE}"
    return None


def format_part(item: GradingItem, form: OutputForm) -> RewardPart:
    """Return 1 for a right format and 0 for a wrong one, the detail naming what is wrong."""
    fault = format_fault(item.text, form, item.finish_reason)
    return RewardPart(1.0) if fault is None else RewardPart(0.0, detail=fault)


def _layout(form: OutputForm) -> tuple[tuple[str, ...], tuple[_Piece, ...]]:
    """Return a form's n marks and the n + 1 pieces around them."""
    match form:
        case ThinkAnswerForm():
            marks: tuple[str, ...] = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
            return marks, (
                _Piece(f"before {THINK_OPEN}", False),
                _Piece("the think block", True),
                _Piece(f"between {THINK_CLOSE} and {ANSWER_OPEN}", False),
                _Piece("the answer block", True),
                _Piece(f"after {ANSWER_CLOSE}", False),
            )
        case ThinkForm():
            names = (f"before {THINK_OPEN}", "the think block", f"the answer after {THINK_CLOSE}")
            marks = (THINK_OPEN, THINK_CLOSE)
        case SpecialTokenForm(opening=opening, separator=separator):
            names = (f"before the opening {opening}", "the reasoning process", "the summary")
            marks = (opening, separator)
        case PlainForm():
            return (), (_Piece("the completion", True),)
    before, thought, summary = names
    return marks, (_Piece(before, False), _Piece(thought, True), _Piece(summary, True))


def _marks_fault(text: str, marks: tuple[str, ...]) -> str | None:
    for mark, wanted in Counter(marks).items():
        count = text.count(mark)
        if count == 0:
            return f"{mark} is missing"
        if count != wanted:
            return f"{mark} occurs {count} times" + (f", not {wanted}" if wanted > 1 else "")
    in_order = tuple(sorted(marks, key=text.index))
    return None if in_order == marks else f"the marks come in the order {' '.join(in_order)}"


def _pieces_fault(texts: list[str], pieces: tuple[_Piece, ...]) -> str | None:
    for text, piece in zip(texts, pieces, strict=True):
        if text.strip() and not piece.must_hold_text:
            return f"text {piece.name}"
    for text, piece in zip(texts, pieces, strict=True):
        if piece.must_hold_text and not text.strip():
            return f"{piece.name} is empty"
    return None


def _split_at(text: str, marks: tuple[str, ...]) -> list[str]:
    pieces = []
    for mark in marks:
        piece, _, text = text.partition(mark)
        pieces.append(piece)
    return [*pieces, text]
