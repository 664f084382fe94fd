"""Equality of LaTeX expressions by math-verify. Runs only inside a grading process (`worker`), never in
training.

math-verify may loop, recurse or allocate without bound on text that a policy wrote; the process that calls
this module is the one that is killed. Its own time-outs are switched off: they need the main thread's alarm
signal. Where it takes what differs for equal, or cannot tell that two forms are the same set, `relations`
decides.
"""

import logging
from functools import cache, lru_cache
from typing import Any

import sympy
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Expr, UnevaluatedExpr

from dunwu.rewards.relations import compare_relations

logging.getLogger("math_verify").setLevel(logging.CRITICAL)

_EXTRACTION = [LatexExtractionConfig()]
_RELATIVE_TOLERANCE = 1e-3
_UNDEFINED = (sympy.nan, sympy.zoo)
_PROBE = sympy.Rational(7919, 6841)  # no one's answer


def parse_expression(latex: str) -> Any | None:
    """Return the sympy object that a LaTeX expression without delimiters stands for, None if it stands for
    none.

    The letter i that stands free is the imaginary unit, and a decimal exponent a fraction (2^{0.5} is a root).
    """
    parsed = parse(f"${latex}$", _EXTRACTION, fallback_mode="no_fallback", parsing_timeout=None)
    if not parsed or isinstance(parsed[0], str):
        return None
    found = parsed[0]
    if not isinstance(found, Expr):
        return found
    if found.has(sympy.Float):
        found = found.replace(
            _has_decimal_exponent, lambda power: power.base ** sympy.Rational(str(power.exp))
        )
    return found.subs({symbol: sympy.I for symbol in found.free_symbols if symbol.name == "i"})


@cache
def warm_up() -> None:
    """Make math-verify and sympy build the tables that they build when first used: a third of a second."""
    expressions_equal("(x-1)(x+1)", "x^2-1")


_parse_reference = lru_cache(maxsize=512)(parse_expression)


def reference_fault(latex: str) -> str | None:
    """Return why a reference cannot be graded against: it does not parse, does not equal itself, or equals
    an arbitrary number; None if it can."""
    parsed = _parse_reference(latex)
    if parsed is None:
        return "it is not a mathematical expression that math-verify can read"
    if not _verify(parsed, parsed) or _is_undefined(parsed):
        return "it does not equal itself (undefined, like 1/0?)"
    if _verify(parsed, _PROBE):
        return "it equals an arbitrary number"
    return None


def expressions_equal(answer: str, reference: str) -> tuple[bool, str]:
    """Return whether two LaTeX expressions are equal, and a remark if the answer cannot be read.

    Where math-verify's rounding to six decimals says yes, two numbers must also agree to a thousandth: it
    takes 0.0 for 1.6e-19 otherwise.
    """
    wanted, given = _parse_reference(reference), parse_expression(answer)
    if wanted is None or given is None:
        return False, "the answer is not a mathematical expression" if given is None else ""
    related = compare_relations(wanted, given)
    if related is not None:
        return related, ""
    return bool(_verify(wanted, given)) and _agree_relatively(wanted, given), ""


def _has_decimal_exponent(part: Any) -> bool:
    return isinstance(part, sympy.Pow) and part.exp.is_Float


def _verify(gold: Any, given: Any) -> bool:
    return verify(gold, given, allow_set_relation_comp=True, timeout_seconds=None)


def _is_undefined(parsed: Any) -> bool:
    if not isinstance(parsed, Expr) or parsed.free_symbols or parsed.has(UnevaluatedExpr):
        return False
    return parsed.doit() in _UNDEFINED


def _agree_relatively(gold: Any, given: Any) -> bool:
    if gold == given or not (isinstance(gold, Expr) and isinstance(given, Expr)):
        return True
    if gold.free_symbols or given.free_symbols or gold.has(UnevaluatedExpr) or given.has(UnevaluatedExpr):
        return (
            True  # math-verify writes a percentage as 50 * UnevaluatedExpr(1/100), and 50% equals 50 and 0.5
        )
    try:
        wanted, value = complex(gold.evalf(20)), complex(given.evalf(20))
    except Exception:  # not every expression has a value; then math-verify's word stands
        return True
    return abs(value - wanted) <= _RELATIVE_TOLERANCE * abs(wanted)
