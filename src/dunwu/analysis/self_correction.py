"""Finds where a completion corrected itself: an error, a word of reflection after it, and what came out right in the end.

Three kinds, from the strongest evidence to the weakest:

    recomputed   one calculation is written twice with two results; the first is wrong and the second right, by arithmetic
    restated     an answer is stated, a reflection follows, and the final answer is another one, which is right
    rejected     an attempt is called wrong, and another one is the final answer, which is right

Rules over text, not a reading of minds: what they find is shown with its places, to be judged by whoever looks. Called by the
index of a run's rollouts and by the dashboard.
"""

import operator
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dunwu.analysis.marks import Span
from dunwu.functional.reflection import find_reflections

Kind = Literal["recomputed", "restated", "rejected"]
KINDS: tuple[Kind, ...] = ("recomputed", "restated", "rejected")

_NUMBER = r"\d+(?:\.\d+)?"
_SIDE = r"[\d(][\d+\-*/×÷−().% ]{0,60}"
_CHAIN = re.compile(
    rf"(?<![\d.=])(?P<left>{_SIDE}?)\s*=\s*(?:{_SIDE}?\s*=\s*){{0,6}}(?P<value>[-−]?{_NUMBER})(?!\s*[=+*/×÷(\d]|\s*-\s*\d)"
)
_CLAIM = re.compile(
    r"\\boxed\{(?P<boxed>[^{}\n]{1,40})\}"
    r"|(?:the |final |my )(?:answer|result|sum|total|solution)(?: is| =|:| must be| should be| would be| equals)\s*"
    rf"(?P<english>[-−]?{_NUMBER}(?:/\d+)?)"
    rf"|(?:答案|结果|总和|得数)(?:是|为|应该是|：|:|=)\s*(?P<chinese>[-−]?{_NUMBER}(?:/\d+)?)",
    re.IGNORECASE,
)
_REJECTION = re.compile(
    r"(?:(?<=[,.;:] )no\b(?=[.,;!]|$)|\b(?:not (?:right|correct|possible|valid|equal)|incorrect|wrong|mistake|error|"
    r"doesn['’]t work|does not work|too (?:big|large|small|high|low)|below 0)\b|不对|错了|不行|不正确|有误|小于0|太大|太小)",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.;!?。；！？\n](?!\d)")
_OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
_STATES_OR_REJECTS = (
    r"boxed|(?:the |final |my )(?:answer|result|sum|total|solution)|答案|结果|总和|得数|[,.;:] no\b"
    r"|not (?:right|correct|possible|valid|equal)|incorrect|wrong|mistake|error|(?:doesn.t|does not) work"
    r"|too (?:big|large|small|high|low)|below 0|不对|错了|不行|不正确|有误|小于0|太大|太小"
)
_LEFT_SIDE = re.compile(r"[\d(][\d+\-*/×÷−().% ]*+(?==)")
_HAS_OPERATOR = re.compile(r"\d[-+*/%]")
_MAX_CHARS = 20_000
_SNIPPET = 90


class Correction(NamedTuple):
    """A self-correction: its kind; what was wrong, the word that turned it and what was right, as places in the completion;
    and what tells that the one is wrong and the other right, in words."""

    kind: Kind
    wrong: Span
    turn: Span
    right: Span
    reason: str

    @property
    def spans(self) -> list[Span]:
        """The three places, for marking them in the text."""
        return [self.wrong, self.turn, self.right]


def find_correction(
    text: str,
    answer: str | None,
    end: int | None = None,
    reflections: Sequence[tuple[int, int, str]] | None = None,
) -> Correction | None:
    """Return the strongest self-correction in a completion, the first of its kind; None where there is none.

    Whether the final answer is right is for the caller to know: of a wrong completion this finds the attempt to correct itself.

    Args:
        answer: the extracted final answer, as the grader normalised it.
        end: where thinking ends; None: at the end of the text.
        reflections: what `find_reflections` finds in the text, if that is known.
    """
    end = min(_MAX_CHARS, len(text) if end is None else end)
    thinking = text[:end]
    found = find_reflections(thinking) if reflections is None else reflections
    turns = [Span(start, stop, word) for start, stop, word in found if stop <= end]
    if not turns:
        return None
    return _recomputed(thinking, turns) or _restated(thinking, answer, turns) or _rejected(thinking, turns)


def may_correct(texts: pa.ChunkedArray) -> np.ndarray:
    """Say cheaply of each text whether it states an answer or calls something wrong, or computes at all.

    Returns:
        (texts,) bool; where it is False, `find_correction` finds nothing but a calculation that was done twice.
    """
    found: np.ndarray = pc.match_substring_regex(texts, _STATES_OR_REJECTS, ignore_case=True).to_numpy()
    return found


def computes_twice(text: str) -> bool:
    """Say cheaply whether the left side of some equation stands there twice."""
    sides = _LEFT_SIDE.findall(text)
    return len(sides) != len({side.replace(" ", "") for side in sides})


def evaluate(expression: str) -> Fraction | None:
    """Compute whole numbers and decimals joined by + - * / % and brackets; None for anything else, or a division by 0."""
    tokens = re.findall(r"\d+(?:\.\d+)?|[-+*/%()]", expression.translate(_PLAIN))
    if "".join(tokens) != expression.translate(_PLAIN).replace(" ", ""):
        return None
    try:
        value = _sum(tokens)
    except (IndexError, ZeroDivisionError, ValueError):
        return None
    return value if not tokens else None


_PLAIN = str.maketrans({"×": "*", "÷": "/", "−": "-"})


def _sum(tokens: list[str]) -> Fraction:
    value = _product(tokens)
    while tokens and tokens[0] in "+-":
        value = _OPERATORS[tokens.pop(0)](value, _product(tokens))
    return value


def _product(tokens: list[str]) -> Fraction:
    value = _atom(tokens)
    while tokens and tokens[0] in "*/%":
        value = _OPERATORS[tokens.pop(0)](value, _atom(tokens))
    return value


def _atom(tokens: list[str]) -> Fraction:
    token = tokens.pop(0)
    if token == "-":
        return -_atom(tokens)
    if token != "(":
        return Fraction(token)
    value = _sum(tokens)
    if tokens.pop(0) != ")":
        raise ValueError("brackets do not match")
    return value


def _turn_between(turns: list[Span], start: int, end: int) -> Span | None:
    return next((turn for turn in turns if start <= turn.start and turn.end <= end), None)


def _recomputed(text: str, turns: list[Span]) -> Correction | None:
    if not computes_twice(text):
        return None
    written: dict[str, list[tuple[Span, str]]] = {}
    for match in _CHAIN.finditer(text):
        left = match["left"].translate(_PLAIN).replace(" ", "")
        if _HAS_OPERATOR.search(left):
            place = Span(match.start(), match.end(), "wrong")
            written.setdefault(left, []).append((place, match["value"].translate(_PLAIN)))
    for left, results in written.items():
        if len({value for _, value in results}) > 1 and (true := evaluate(left)) is not None:
            right = [evaluate(value) == true for _, value in results]
            if False not in right or True not in right[right.index(False) :]:
                continue
            first, value = results[right.index(False)]
            last, result = results[right.index(True, right.index(False))]
            turn = _turn_between(turns, first.end, last.start)
            if turn is not None:
                reason = f"{left} is {result}, not {value}"
                return Correction(
                    "recomputed", first, turn._replace(kind="turn"), last._replace(kind="right"), reason
                )
    return None


def _restated(text: str, answer: str | None, turns: list[Span]) -> Correction | None:
    final = None if answer is None else _plain(answer)
    if final is None:
        return None
    claims = [(m, _plain(m["boxed"] or m["english"] or m["chinese"])) for m in _CLAIM.finditer(text)]
    for match, value in claims:
        turn = _turn_between(turns, match.end(), len(text))
        if value != final and turn is not None:
            wrong = Span(match.start(), match.end(), "wrong")
            later = next((m for m, v in claims if v == final and m.start() > turn.end), None)
            right = Span(later.start(), later.end(), "right") if later else _last_clause(text, turn.end)
            reason = f"{value} was stated, and the final answer is {final}"
            return Correction("restated", wrong, turn._replace(kind="turn"), right, reason)
    return None


def _rejected(text: str, turns: list[Span]) -> Correction | None:
    for match in _REJECTION.finditer(text):
        turn = next((turn for turn in turns if turn.start >= match.start()), None)
        if turn is None:
            return None
        start = max([0, match.start() - _SNIPPET, *(m.end() for m in _clause_ends(text, match.start()))])
        right = _last_clause(text, max(turn.end, match.end()))
        if start < match.start() and right.end - right.start > 1:
            wrong = Span(start, max(start, min(match.end(), turn.start)), "wrong")
            reason = f"an attempt is called {match.group().strip()!r}, and another one follows"
            return Correction("rejected", wrong, turn._replace(kind="turn"), right, reason)
    return None


def _clause_ends(text: str, before: int) -> Iterator[re.Match[str]]:
    return _CLAUSE_END.finditer(text, max(0, before - _SNIPPET), max(0, before - 1))


def _last_clause(text: str, after: int) -> Span:
    end = len(text.rstrip())
    end -= len(text[:end]) - len(text[:end].rstrip(".。!"))
    start = max(
        [
            after,
            *(m.end() for m in _CLAUSE_END.finditer(text, max(after, end - 2 * _SNIPPET), max(after, end))),
        ]
    )
    return Span(min(start, end) if end > after else after, max(end, after), "right")


def _plain(value: str) -> str:
    return value.translate(_PLAIN).replace(" ", "").rstrip(".")
