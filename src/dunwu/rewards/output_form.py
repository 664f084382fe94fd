"""The one place that knows how a policy writes thinking and answer: cuts a completion into the two.

Every reward that looks at one of them takes it from here, so that they never disagree about where thinking ends. Judges
nothing (`format` does). Linear in the text, whatever it holds: it runs in the training process, on text that a policy wrote.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dunwu.config.output_form import OutputForm, PlainForm, SpecialTokenForm, ThinkAnswerForm, ThinkForm
from dunwu.errors import ConfigError
from dunwu.records import Prompt

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"

Edge = Literal["open", "close"]


@dataclass(frozen=True)
class Split:
    """A completion's two parts, without the marks between them.

    Args:
        reasoning: the chain of thought, one that was never closed included; None where nothing was thought.
        summary: what follows the thinking, and the whole text where nothing was thought; a final answer may stand only
            here. None while thinking is still open.
    """

    reasoning: str | None
    summary: str | None


def thinking_marks(form: OutputForm) -> tuple[str, str] | None:
    """Return the marks that open and close thinking, possibly the same one; None for a form without."""
    match form:
        case ThinkAnswerForm() | ThinkForm():
            return THINK_OPEN, THINK_CLOSE
        case SpecialTokenForm(opening=opening, separator=separator):
            return opening, separator
        case PlainForm():
            return None
    raise AssertionError(form)


def all_marks(form: OutputForm) -> tuple[str, ...]:
    """Return every mark that a right format holds, in order; what decodes completions must keep them."""
    answer = (ANSWER_OPEN, ANSWER_CLOSE) if isinstance(form, ThinkAnswerForm) else ()
    return (*(thinking_marks(form) or ()), *answer)


def written_marks(form: OutputForm) -> tuple[str, ...]:
    """Return the marks that the completion itself has to write, in order."""
    return all_marks(form)[1:] if opened_by_prompt(form) else all_marks(form)


def opened_by_prompt(form: OutputForm) -> bool:
    """Whether the prompt already ends with the mark that opens thinking."""
    return not isinstance(form, PlainForm) and form.opened_by_prompt


def require_opened(prompts: Iterable[Prompt], form: OutputForm) -> None:
    """Refuse prompts that do not end as the output form says.

    Raises:
        ConfigError: a prompt ends with the opening mark and the form says it does not, or the other way round; every
            completion's thinking would be looked for in the wrong place.
    """
    marks = thinking_marks(form)
    if marks is None:
        return
    says, opening = opened_by_prompt(form), marks[0]
    for prompt in prompts:
        if prompt.text.rstrip().endswith(opening) != says:
            raise ConfigError(
                f"output_form.opened_by_prompt is {str(says).lower()}, but the prompt ends with {prompt.text[-40:]!r}; "
                + (f"let the template end with {opening}, or set it to false" if says else "set it to true")
            )


def split(text: str, form: OutputForm) -> Split:
    """Cut a completion into chain of thought and summary.

    A piece of text between two marks is thinking if an opening mark precedes it or a closing mark follows it; several such
    pieces are joined by a line break. The summary is the piece after the last closing mark, so it ends where thinking is
    opened again. Where opening and closing mark are the same, they alternate. Text before the first opening mark is
    neither, and so is thinking that is opened again after the summary and never closed.

    Args:
        text: the completion, decoded so that its marks are kept.
        form: says which marks, and whether the prompt ended with the opening one.
    Source: DeepSeek-R1 v1, Table 1 (tags) and section 2.3.1 (special tokens).
    Departures: what text in a broken form counts as is not stated there.
    """
    if isinstance(form, PlainForm):
        return Split(text, text)
    pieces, edges = _cut(text, form)
    if "close" not in edges:
        if not (form.opened_by_prompt or edges):
            return Split(None, text)
        return Split("\n".join(pieces if form.opened_by_prompt else pieces[1:]), None)
    last_close = len(edges) - 1 - edges[::-1].index("close")
    before: list[Edge | None] = ["open" if form.opened_by_prompt else None, *edges]
    thoughts = [
        piece
        for piece, left, right in zip(pieces[: last_close + 1], before, edges, strict=False)
        if left == "open" or right == "close"
    ]
    return Split("\n".join(thoughts), pieces[last_close + 1])


def _cut(text: str, form: ThinkAnswerForm | ThinkForm | SpecialTokenForm) -> tuple[list[str], list[Edge]]:
    """Cut a text at its marks: n + 1 pieces, and what each of the n marks between them does."""
    marks = thinking_marks(form)
    assert marks is not None
    opening, closing = marks
    parts = re.split(f"({re.escape(opening)}|{re.escape(closing)})", text)
    return parts[::2], list(_edges(parts[1::2], opening, closing, form.opened_by_prompt))


def _edges(marks: list[str], opening: str, closing: str, is_open: bool) -> Iterator[Edge]:
    for mark in marks:
        opens = not is_open if opening == closing else mark == opening
        is_open = opens
        yield "open" if opens else "close"
