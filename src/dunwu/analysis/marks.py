"""What is to be seen in a completion: thinking, answer and summary, reflection words, changes of language, a corrected error.

The pieces of a text carry marks and, put together, are the text again; nothing is judged. Thinking is told as the rewards tell it
(`rewards.output_form`). Called by the dashboard and by the index of a run's rollouts.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import regex

from dunwu.config.output_form import OutputForm, PlainForm, SpecialTokenForm, ThinkAnswerForm, ThinkForm
from dunwu.functional.reflection import find_reflections

Part = Literal["thinking", "answer", "summary", "tag", "text"]
"""Where in a completion a piece stands; "text" is what belongs to none of the others."""


class Span(NamedTuple):
    """Characters [start, end) of a text, and what they are."""

    start: int
    end: int
    kind: str


class Piece(NamedTuple):
    """A piece of a completion.

    `word` is the base form of the reflection word that it is, `language` the script that the question is not in, `turn` what it
    is in a self-correction ("wrong", "turn" or "right"); "" where it is none.
    """

    text: str
    part: Part
    word: str
    language: str
    turn: str


MIXED_SHARE = 0.1
"""A completion mixes languages if at least this share of its words, and at least two, are in a script of another language."""

_SCRIPTS = {"han": r"\p{Han}", "kana": r"\p{Hiragana}\p{Katakana}ー", "hangul": r"\p{Hangul}", "cyrillic": r"\p{Cyrillic}",
            "greek": r"\p{Greek}", "arabic": r"\p{Arabic}", "hebrew": r"\p{Hebrew}", "thai": r"\p{Thai}",
            "devanagari": r"\p{Devanagari}"}  # fmt: skip
_WRITES = {"zh": {"han"}, "ja": {"han", "kana"}, "ko": {"hangul"}, "ru": {"cyrillic"}, "uk": {"cyrillic"}, "bg": {"cyrillic"},
           "sr": {"cyrillic", "latin"}, "el": {"greek"}, "ar": {"arabic"}, "fa": {"arabic"}, "ur": {"arabic"}, "he": {"hebrew"},
           "th": {"thai"}, "hi": {"devanagari"}}  # fmt: skip
_SKIPPED = r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\\\[.*?\\\]|\\\(.*?\\\)|</?[A-Za-z_]+>|\\[A-Za-z]+|\|\w+\||https?://\S+"
_GAP = r"[ ,，。、:：;；'’!！?？\-]"
_RUN = regex.compile(
    rf"(?P<skip>{_SKIPPED})|"
    + "|".join(
        rf"(?P<{name}>[{letters}](?:[{letters}]|{_GAP}(?=[{letters}]))*+)"
        for name, letters in _SCRIPTS.items()
    )
    + rf"|(?P<latin>(?<![\p{{Latin}}\d_])\p{{Latin}}{{2,}}+(?![\d_(])(?:{_GAP}{{1,2}}\p{{Latin}}{{2,}}+(?![\d_(]))*+)",
    regex.DOTALL,
)
_NOT_LATIN = regex.compile("[" + "".join(_SCRIPTS.values()) + "]")
_TAGS = re.compile(r"</?[A-Za-z_]+>|\|\w+\|")
_SOME_WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2}")
_LATIN_WORD = regex.compile(r"\p{Latin}{2,}")


def parts(text: str, form: OutputForm) -> list[Span]:
    """Cut a completion into its parts; together they are the whole text.

    A piece between two marks is thinking if an opening mark precedes it or a closing mark follows it; the summary is what follows
    the last closing mark, and the whole text where nothing was thought. In R1-Zero's form the answer is what stands between its
    tags in the summary, in the others all of the summary.
    """
    if isinstance(form, PlainForm):
        return [Span(0, len(text), "text")] if text else []
    pieces, edges, tags = _cut(text, form)
    closes = [i for i, edge in enumerate(edges) if edge == "close"]
    last_close = closes[-1] if closes else -1
    before = ["open" if form.opened_by_prompt else "", *edges]
    spans: list[Span] = []
    for i, (start, end) in enumerate(pieces):
        after = edges[i] if i < len(edges) else ""
        if closes:
            thinks = i <= last_close and (before[i] == "open" or after == "close")
            summary = i == last_close + 1
        else:
            thinks, summary = before[i] == "open", not edges and not form.opened_by_prompt
        if thinks:
            spans.append(Span(start, end, "thinking"))
        elif summary:
            spans += _summary(text, start, end, form)
        else:
            spans.append(Span(start, end, "text"))
        if i < len(tags):
            spans.append(Span(*tags[i], "tag"))
    return [span for span in spans if span.end > span.start]


def opened(form: OutputForm, prompt: str) -> OutputForm:
    """Return the form with what this prompt says about whether thinking is already open."""
    match form:
        case ThinkAnswerForm() | ThinkForm():
            return form.model_copy(update={"opened_by_prompt": prompt.rstrip().endswith("<think>")})
        case SpecialTokenForm():
            return form.model_copy(update={"opened_by_prompt": prompt.rstrip().endswith(form.opening)})
        case PlainForm():
            return form
    raise AssertionError(form)


def foreign_runs(text: str, language: str, question: str = "") -> tuple[list[Span], int, int]:
    """Find the words in a script that the question's language is not written in.

    Formulas, code, tags, links, acronyms and what the question itself holds are passed over. Languages of one script, such as
    English and French, are not told apart.

    Returns:
        the runs with their script; the number of their words (characters, where a script has no spaces); and that of all words.
    """
    own = _WRITES.get(language, {"latin"})
    runs: list[Span] = []
    num_foreign = num_words = 0
    for match in _RUN.finditer(text):
        script = match.lastgroup or ""
        if script == "skip":
            continue
        found = match.group()
        count = len(_LATIN_WORD.findall(found)) if script in ("latin", "cyrillic", "greek") else len(found)
        num_words += count
        acronym = script == "latin" and found.isupper() and len(found) <= 6
        if script not in own and not acronym and found.lower() not in question.lower():
            num_foreign += max(1, count)
            runs.append(Span(match.start(), match.end(), script))
    return runs, num_foreign, num_words


def may_switch(text: str, language: str) -> bool:
    """Say cheaply whether a text can hold words in another script at all."""
    if "latin" in _WRITES.get(language, {"latin"}):
        return not text.isascii() and _NOT_LATIN.search(text) is not None
    return _SOME_WORD.search(_TAGS.sub("", text)) is not None


def mixes(num_foreign: int, num_words: int) -> bool:
    """Whether so many foreign words among all words count as mixing languages."""
    return num_foreign >= 2 and num_foreign >= MIXED_SHARE * num_words


def pieces(
    text: str, form: OutputForm, *, language: str, question: str = "", turns: Sequence[Span] = ()
) -> list[Piece]:
    """Cut a completion where any of its marks begins or ends.

    Args:
        language: of the question.
        turns: of a self-correction, see `self_correction.find_correction`.
    """
    layers = [
        parts(text, form),
        [Span(*found) for found in find_reflections(text)],
        foreign_runs(text, language, question)[0],
        list(turns),
    ]
    edges = sorted({0, len(text), *(edge for layer in layers for span in layer for edge in span[:2])})
    walks = [_Walk(layer) for layer in layers]
    result = []
    for start, end in pairwise(edges):
        part, word, script, turn = (walk.at(start) for walk in walks)
        result.append(Piece(text[start:end], _part(part), word, script, turn))
    return result


class _Walk:
    """Answers which span of a sorted layer covers a place, for places that only grow."""

    def __init__(self, layer: Sequence[Span]) -> None:
        self._layer, self._next = sorted(layer), 0

    def at(self, place: int) -> str:
        while self._next < len(self._layer) and self._layer[self._next].end <= place:
            self._next += 1
        span = self._layer[self._next] if self._next < len(self._layer) else None
        return span.kind if span is not None and span.start <= place else ""


def _part(kind: str) -> Part:
    match kind:
        case "thinking" | "answer" | "summary" | "tag":
            return kind
    return "text"


def _cut(
    text: str, form: ThinkAnswerForm | ThinkForm | SpecialTokenForm
) -> tuple[list[tuple[int, int]], list[str], list[tuple[int, int]]]:
    opening, closing = (
        (form.opening, form.separator) if isinstance(form, SpecialTokenForm) else ("<think>", "</think>")
    )
    tags = [match.span() for match in re.finditer(f"{re.escape(opening)}|{re.escape(closing)}", text)]
    edges, is_open = [], form.opened_by_prompt
    for start, end in tags:
        is_open = not is_open if opening == closing else text[start:end] == opening
        edges.append("open" if is_open else "close")
    bounds = [0, *(edge for tag in tags for edge in tag), len(text)]
    return list(zip(bounds[::2], bounds[1::2], strict=True)), edges, tags


def _summary(text: str, start: int, end: int, form: OutputForm) -> Iterator[Span]:
    if not isinstance(form, ThinkAnswerForm):
        yield Span(start, end, "summary")
        return
    kind, place = "text", start
    for match in re.finditer(r"</?answer>", text[start:end]):
        yield Span(place, start + match.start(), kind)
        yield Span(start + match.start(), start + match.end(), "tag")
        kind = "answer" if match.group() == "<answer>" else "text"
        place = start + match.end()
    yield Span(place, end, kind)


def guessed_form(text: str, prompt: str) -> OutputForm:
    """Return the form that a completion looks like, for a stage whose recipe does not say."""
    if "|special_token|" in text or prompt.rstrip().endswith("|special_token|"):
        return opened(SpecialTokenForm(), prompt)
    if "<answer>" in text:
        return opened(ThinkAnswerForm(), prompt)
    if "think>" in text or prompt.rstrip().endswith("<think>"):
        return opened(ThinkForm(), prompt)
    return PlainForm()
