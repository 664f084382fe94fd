"""What the text of a cleaned formula shows before any algebra: its unit, its base, and whether it is a result.

Pure text; every pattern is linear. Called by the maths grader on answer and reference.
"""

import re

from dunwu.rewards.numeric import parse_quantity
from dunwu.rewards.units import canonical_unit, unit_ratio

_UNIT_BEHIND = re.compile(
    r" *\\(?:text|textrm|mathrm|mbox|operatorname) ?\{ ?([^{}]*?)\.? ?\}(\^[23]|\^\{[23]\})?$"
    r"|(?<=[\w)}\]])(?: +([A-Za-z]{2,}(?:/[A-Za-z]+)?(?:\^[23]|\^\{[23]\})?)| *([\u4e00-\u9fff]{1,6}))$"
    r"|(?<=[\w)}\]]) ?(\^ ?\\circ|\^ ?\{ ?\\circ ?\})$"
)
_IN_BASE = re.compile(r"(?=[A-F]*\d)([0-9A-F]+) ?_ ?(?:\{ ?(\d{1,2}) ?\}|(\d{1,2}))")
_SUBSCRIPT = re.compile(r"([A-Za-z])_(?:\{\w+\}|\w)(?= ?=)")
_BRACKET = re.compile(r"[()\[\]]|\\[{}]")
_PI = re.compile(r"\\pi(?![A-Za-z])")
_STILL_TO_DO = re.compile(r"\\(?:sum|prod|i*int|oint|lim)(?![A-Za-z])")
_FRACTION = re.compile(r"\\frac ?\{ ?[\d.]+ ?\} ?\{ ?[\d.]+ ?\}|\d+ ?/ ?\d+")
_OPERATOR = re.compile(r"\\(?:times|cdot|div)(?![A-Za-z])")
_ARITHMETIC = re.compile(r"[\d.,+\-*/() ]+")
_TWO_OPERANDS = re.compile(r"[\d)] ?[-+*/] ?[-+]?[\d(]")


def split_unit(formula: str) -> tuple[str, str | None]:
    """Return a formula without the known unit behind it, and that unit's canonical name; None without one.

    The items of a list may each have the same unit.
    """
    if "," in formula and not _BRACKET.search(formula):
        items = [split_unit(item.strip()) for item in formula.split(",")]
        units = {unit for _, unit in items}
        if len(units) == 1 and None not in units:
            return ", ".join(item for item, _ in items), units.pop()
    found = _UNIT_BEHIND.search(formula)
    if found is None or not found.start():
        return formula, None
    braced, power, latin, chinese, angle = found.groups()
    bare = latin or chinese or (angle or "").replace(" ", "")
    unit = canonical_unit(bare if braced is None else braced + (power or ""))
    return (formula, None) if unit is None else (formula[: found.start()].rstrip(), unit)


def in_unit_of(given: tuple[str, str | None], wanted: tuple[str, str | None]) -> str | None:
    """Return an answer's LaTeX converted to its reference's unit; None if the units measure different things.

    A unit on one side only is ignored, but for degrees beside a multiple of pi: 60 degrees is pi/3.

    Args:
        given, wanted: LaTeX without a unit, and the unit.
    """
    (latex, unit), (wanted_latex, wanted_unit) = given, wanted
    if unit == "°" and wanted_unit is None and _PI.search(wanted_latex):
        return rf"\frac{{({latex}) \cdot \pi}}{{180}}"
    if wanted_unit == "°" and unit is None and _PI.search(latex):
        return rf"\frac{{({latex}) \cdot 180}}{{\pi}}"
    if unit is None or wanted_unit is None or unit == wanted_unit:
        return latex
    ratio = unit_ratio(unit, wanted_unit)
    return None if ratio is None else rf"\frac{{({latex}) \cdot {ratio.numerator}}}{{{ratio.denominator}}}"


def same_in_base(given: str, wanted: str) -> bool | None:
    """Compare two numerals that both name their base (1010_2); None where not both do."""
    numerals = [_IN_BASE.fullmatch(text) for text in (given, wanted)]
    if numerals[0] is None or numerals[1] is None:
        return None
    left, right = (
        (found.group(1).lstrip("0"), found.group(2) or found.group(3)) for found in numerals if found
    )
    return left == right


def with_equal_subscripts(given: str, wanted: str) -> tuple[str, str]:
    """Return both texts, subscripts of assigned variables dropped where only one side writes them: x_1 = 1, x_2
    = 2 for x = 1 or x = 2."""
    if bool(_SUBSCRIPT.search(given)) == bool(_SUBSCRIPT.search(wanted)):
        return given, wanted
    return _SUBSCRIPT.sub(r"\1", given), _SUBSCRIPT.sub(r"\1", wanted)


def is_unevaluated(given: str, wanted: str) -> bool:
    """Return whether an answer only restates a computation whose result the reference is.

    That is a sum, product, integral or limit in LaTeX, or plain arithmetic (123 + 456), beside a reference
    that is a number. Powers, roots, fractions, factorials and functions are results.
    Departures: math-verify takes them for equal, so that a policy could answer a calculation with the
        calculation.
    """
    if parse_quantity(wanted) is None:
        return False
    given = _right_hand_side(given)
    if _STILL_TO_DO.search(given):
        return True
    if parse_quantity(given) is not None:
        return False
    plain = _OPERATOR.sub("*", _FRACTION.sub("1", given))
    return bool(_ARITHMETIC.fullmatch(plain)) and bool(_TWO_OPERANDS.search(plain))


def _right_hand_side(text: str) -> str:
    """Return what follows the last equals sign that stands outside of braces; all of it without one."""
    depth = 0
    for position in range(len(text) - 1, -1, -1):
        depth += (text[position] == "}") - (text[position] == "{")
        if text[position] == "=" and depth == 0:
            return text[position + 1 :].strip()
    return text
