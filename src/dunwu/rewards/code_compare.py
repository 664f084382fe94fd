"""Compares what a program printed or returned with what was expected, outside of the sandbox, as plain data."""

import math
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from typing import Any

from dunwu.config.code import CodeComparison

_MAX_NUMBER_CHARS = 400
_MAX_DEPTH = 200


def same_output(got: str, expected: str, how: CodeComparison, tolerance: float | None = None) -> bool:
    """Return whether printed output is right.

    Args:
        got, expected: what was printed, and what should have been.
        how: tokens: pieces between white space are equal as text or as decimal numbers; lines: lines are equal
            but for white space at their ends, and empty lines at the end do not count; exact: equal.
        tolerance: two numbers in "tokens" are equal too if they differ by at most this, absolutely or in
            proportion to the expected one.
    """
    match how:
        case "exact":
            return got == expected
        case "lines":
            return _lines(got) == _lines(expected)
        case "tokens":
            pairs = zip_longest(got.split(), expected.split())
            return all(
                a is not None and b is not None and (a == b or _same_number(a, b, tolerance))
                for a, b in pairs
            )


def same_value(got: Any, expected: Any, tolerance: float | None = None) -> bool:
    """Return whether two values read from JSON are equal.

    As in Python 1, 1.0 and true are equal. With a tolerance, numbers are equal as in `same_output`. Values
    nested deeper than 200 are never equal.
    """
    return _same(got, expected, tolerance, 0)


def first_difference(got: str, expected: str) -> str:
    """Return where two printed outputs first differ, in tokens."""
    for index, (a, b) in enumerate(zip_longest(got.split(), expected.split()), start=1):
        if a != b and not (a is not None and b is not None and _same_number(a, b, None)):
            return f"token {index}: expected {_token(b)}, got {_token(a)}"
    return "white space"


def _token(token: str | None) -> str:
    if token is None:
        return "nothing"
    return repr(token if len(token) <= 40 else token[:40] + "...")


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _number(token: str) -> Decimal | None:
    """The number that a token is; None for words, "nan" and "inf", and for numbers of absurd length."""
    if len(token) > _MAX_NUMBER_CHARS or not any(c.isdigit() for c in token) or "_" in token:
        return None
    try:
        number = Decimal(token)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < _MAX_NUMBER_CHARS else None


def _same_number(a: str, b: str, tolerance: float | None) -> bool:
    got, expected = _number(a), _number(b)
    if got is None or expected is None:
        return False
    return got == expected or (tolerance is not None and _close(float(got), float(expected), tolerance))


def _close(got: float, expected: float, tolerance: float) -> bool:
    return abs(got - expected) <= tolerance * max(1.0, abs(expected))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(got: Any, expected: Any, tolerance: float | None, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        return False
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(_pairs(got, expected, tolerance, depth))
    if isinstance(got, dict) and isinstance(expected, dict):
        keys = sorted(expected)
        return sorted(got) == keys and all(
            _pairs([got[key] for key in keys], [expected[key] for key in keys], tolerance, depth)
        )
    if tolerance is not None and _is_number(got) and _is_number(expected):
        try:
            near = _close(float(got), float(expected), tolerance)
        except OverflowError:
            near = False
        return near or got == expected
    if isinstance(got, float) and not math.isfinite(got):
        return False
    return type(got) in (type(None), bool, int, float, str) and bool(got == expected)


def _pairs(got: list[Any], expected: list[Any], tolerance: float | None, depth: int) -> Iterator[bool]:
    return (_same(a, b, tolerance, depth + 1) for a, b in zip(got, expected, strict=True))
