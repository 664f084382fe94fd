"""Equations, inequalities, sets and ordered tuples: when are two of them the same? Runs only inside a grading
process.

Decides what math-verify leaves open or confuses, and says None to everything else. Called by `equality`.
"""

from typing import Any

import sympy
from sympy import And, Eq, Expr, FiniteSet, Interval, Ne, Or, Set, Tuple, Union
from sympy.core.relational import Relational

_ORDERED = (Tuple, Interval)
_MAX_LENGTH = 400  # of a printed relation; algebra on longer ones is left to math-verify


def compare_relations(gold: Any, given: Any) -> bool | None:
    """Return whether a reference and an answer state the same, None where that is for math-verify to say.

    Decided are: an ordered tuple or an interval is not a set of the same elements, but (3, 4) is x = 3, y = 4;
    equations are the same when their sides' differences are proportional (2x - y + 1 = 0 and y = 2x + 1);
    inequalities, joined by "and" or "or", are the same when their solutions are, stated as an interval or
    not.
    """
    for listed, ordered in ((gold, given), (given, gold)):
        if isinstance(listed, FiniteSet) and isinstance(ordered, _ORDERED):
            return _same_point(listed, ordered)
    if isinstance(gold, Eq) and isinstance(given, Eq):
        return _same_equation(gold, given)
    if _is_condition(gold) or _is_condition(given):
        wanted, found = _solutions(gold), _solutions(given)
        if wanted is None or found is None:
            return None
        return wanted[0] == found[0] and (wanted[1] is None or found[1] is None or wanted[1] == found[1])
    return None


def _is_condition(value: Any) -> bool:
    """Return whether it is an inequality, or several joined by "and" or "or"."""
    if isinstance(value, Relational):
        return not isinstance(value, (Eq, Ne))
    if isinstance(value, (And, Or)):
        return all(_is_condition(part) for part in value.args)
    return isinstance(value, FiniteSet) and len(value) > 0 and all(_is_condition(part) for part in value.args)


def _same_point(listed: FiniteSet, ordered: Tuple | Interval) -> bool:
    """Return whether values of variables, in the order of their names, are a point's coordinates."""
    values = {part.lhs.name: part.rhs for part in listed if isinstance(part, Eq) and part.lhs.is_Symbol}
    if isinstance(ordered, Interval) and not (ordered.left_open and ordered.right_open):
        return False
    point = (ordered.start, ordered.end) if isinstance(ordered, Interval) else tuple(ordered)
    if len(values) != len(listed) or len(values) != len(point):
        return False
    pairs = zip((values[name] for name in sorted(values)), point, strict=True)
    return all(isinstance(a, Expr) and isinstance(b, Expr) and sympy.simplify(a - b) == 0 for a, b in pairs)


def _same_equation(gold: Eq, given: Eq) -> bool | None:
    sides = (*gold.args, *given.args)
    if not all(isinstance(side, Expr) for side in sides) or len(str(sides)) > _MAX_LENGTH:
        return None
    symbols = gold.free_symbols
    if not symbols or {s.name for s in symbols} != {s.name for s in given.free_symbols}:
        return None
    same_names = {
        symbol: sympy.Symbol(symbol.name, real=True) for eq in (gold, given) for symbol in eq.free_symbols
    }
    wanted, found = ((eq.lhs - eq.rhs).subs(same_names) for eq in (gold, given))
    if sympy.simplify(found) == 0:
        return sympy.simplify(wanted) == 0
    ratio = sympy.simplify(wanted / found)
    return True if not ratio.free_symbols and ratio.is_finite and ratio != 0 else None


def _solutions(value: Any) -> tuple[Set, str | None] | None:
    """Return the real numbers that a condition on one variable allows, and the variable's name; None if there
    is no saying."""
    if isinstance(value, (Interval, Union)):
        return value, None
    if not _is_condition(value):
        return None
    names = {symbol.name for symbol in value.free_symbols}
    if len(names) != 1 or len(str(value)) > _MAX_LENGTH:
        return None
    value = value.xreplace({number: sympy.Rational(str(number)) for number in value.atoms(sympy.Float)})
    parts = value.args if isinstance(value, (And, Or, FiniteSet)) else (value,)
    x = sympy.Symbol(names.pop(), real=True)
    try:
        solved = [part.subs(dict.fromkeys(part.free_symbols, x)).as_set() for part in parts]
    except Exception:  # sympy solves some inequalities and refuses others
        return None
    if any(part.has(sympy.ConditionSet) for part in solved):  # not solved, only restated
        return None
    join = sympy.Intersection if isinstance(value, And) else sympy.Union
    return join(*solved), x.name
