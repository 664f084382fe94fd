"""The numeric grader: numbers as people write them, read exactly and compared without floating point.

Integers, decimals that end or repeat, fractions, mixed numbers and scientific notation, with thousands
separators, percent signs, currency, units and "million". The maths grader asks here first, because most
answers are plain numbers; what this module can read, it decides.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from dunwu.rewards.notation import clean
from dunwu.rewards.statement import takes_back
from dunwu.rewards.units import canonical_unit, unit_ratio

ABSOLUTE_TOLERANCE = Fraction(5, 10**7)
RELATIVE_TOLERANCE = Fraction(1, 1000)
_MAX_DIGITS = 400  # longer digit strings, and larger exponents, are not read as numbers

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_POWER = (
    r"(?: ?(?:\\times|\\cdot|\*|x) ?10 ?\^ ?(?:\{ ?([-+]?\d{1,3}) ?\}|([-+]?\d{1,3}))|[eE]([-+]?\d{1,3}))"
)
_SCIENTIFIC = re.compile(rf"({_DECIMAL}){_POWER}?")
_REPEATING = re.compile(rf"({_DIGITS})?\.(\d*)\\(?:overline|bar) ?\{{ ?(\d+) ?\}}")
_ELLIPSIS = re.compile(rf"({_DIGITS})?\.(\d*?)(\d+?)\3+\.\.\.")
_MAGNITUDE = re.compile(
    r" ?(?:\\(?:text|textrm|mathrm) ?\{ ?)?(thousand|million|billion|trillion)(?![A-Za-z])(?: ?\})?"
)
_MAGNITUDES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_RATIOS = (  # each: whole part of a mixed number, sign, numerator, denominator
    re.compile(rf"({_DIGITS})? ?\\frac ?\{{ ?([-+]?) ?({_DECIMAL}) ?\}} ?\{{ ?({_DECIMAL}) ?\}}"),
    re.compile(rf"({_DIGITS})? ?\\frac ?()(\d) ?(\d)"),
    re.compile(rf"(?:({_DIGITS}) )?()({_DECIMAL}) ?/ ?({_DECIMAL})"),
)
_UNIT = re.compile(
    r" ?(?:\\(?:text|textrm|mathrm|operatorname) ?\{ ?([^{}]*?) ?\}(\^[23]|\^\{[23]\})?"
    r"|(\\?%|\^ ?\\circ|\^ ?\{ ?\\circ ?\})"
    r"|([\u4e00-\u9fff/]{1,8}))"
)
_LATIN_UNIT = re.compile(r"( ?)([A-Za-z]+(?:[ /][A-Za-z]+)*)(\^[23]|\^\{[23]\})?")
_CURRENCY = re.compile(r"(?:US)?\\?\$|[¥€£]|(?:USD|CNY|RMB|EUR|GBP)(?![A-Za-z])")


@dataclass(frozen=True)
class Quantity:
    """A number as written, and the unit beside it.

    `value` is exact and does not include the percent sign. `rounded` says that it was written with a decimal
    point, so that digits may be missing. `unit` is canonical ("cm", "%"), "" without one, None for a word
    that is no known unit.
    """

    value: Fraction
    rounded: bool
    unit: str | None = ""


def parse_quantity(cleaned: str) -> Quantity | None:
    """Return the quantity that a cleaned answer (`notation.clean`) is; None if it is anything more or
    else."""
    if len(cleaned) > _MAX_DIGITS:
        return None
    text = cleaned.strip()
    sign, text = _take_sign(text)
    currency = _CURRENCY.match(text)
    if currency:
        text = text[currency.end() :].lstrip()
        inner_sign, text = _take_sign(text)
        sign *= inner_sign
    number = _take_number(text)
    if number is None:
        return None
    value, rounded, length = number
    unit = _read_unit(text[length:])
    if unit == "not a unit" or (currency and unit not in ("", None)):
        return None
    if currency:
        unit = canonical_unit(currency.group())
    return Quantity(sign * value, rounded, unit)


def quantities_equal(answer: Quantity, reference: Quantity) -> bool:
    """Return whether an answer is the reference's quantity.

    Numbers written without a decimal point must be equal exactly. Where one has a decimal point they may
    differ by 5e-7, and by a thousandth of the reference at most, so that 0.333333 is 1/3 and 0.0 is not
    1.6e-19. Two known units must measure the same thing, and the answer is converted to the reference's; a
    unit on one side only is ignored. A percentage equals its number with or without the division by 100 when
    the other side has no percent sign, because references state it either way.
    """
    given = answer.value
    if answer.unit and reference.unit:
        ratio = unit_ratio(answer.unit, reference.unit)
        if ratio is None:
            return False
        given *= ratio
    candidates = [given]
    scale = Fraction(1, 100)
    if answer.unit == "%" != reference.unit:
        candidates.append(given * scale)
    elif reference.unit == "%" != answer.unit:
        candidates.append(given / scale)
    rounded = answer.rounded or reference.rounded
    return any(_near(value, reference.value, rounded) for value in candidates)


def judge_numeric(answer: str, reference: str) -> bool | None:
    """Return whether the answer is the reference's number; None if the reference is not a number."""
    wanted = parse_quantity(clean(reference))
    if wanted is None:
        return None
    given = parse_quantity(clean(answer))
    return given is not None and quantities_equal(given, wanted)


def canonical_number(quantity: Quantity) -> str:
    """Return one text for equal numbers, for majority votes: "1/2" for 0.5; a known unit is dropped, % is
    kept."""
    return f"{quantity.value}{'%' if quantity.unit == '%' else ''}"


def latex_number(quantity: Quantity) -> str:
    """Return a quantity's number in plain LaTeX, without its unit (a percent sign is kept)."""
    value, tail = quantity.value, "\\%" if quantity.unit == "%" else ""
    if value.denominator == 1:
        return f"{value.numerator}{'.0' if quantity.rounded else ''}{tail}"
    places = next((n for n in range(1, 40) if quantity.rounded and 10**n % value.denominator == 0), None)
    if places is None:
        return f"\\frac{{{value.numerator}}}{{{value.denominator}}}{tail}"
    digits = f"{abs(value) * 10**places!s:0>{places + 1}}"
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}{tail}"


def _near(value: Fraction, reference: Fraction, rounded: bool) -> bool:
    if value == reference:
        return True
    difference = abs(value - reference)
    return rounded and difference <= ABSOLUTE_TOLERANCE and difference <= RELATIVE_TOLERANCE * abs(reference)


def _take_sign(text: str) -> tuple[int, str]:
    if text[:1] in ("+", "-"):
        return (-1 if text[0] == "-" else 1), text[1:].lstrip()
    return 1, text


def _take_number(text: str) -> tuple[Fraction, bool, int] | None:
    """Read an unsigned number at the head of the text: (value, has a decimal point, characters read)."""
    repeating = _REPEATING.match(text) or _ELLIPSIS.match(text)
    if repeating:
        whole, once, block = repeating.groups()
        tail = Fraction(int(block), (10 ** len(block) - 1) * 10 ** len(once))
        return _plain(f"{whole or 0}.{once or 0}") + tail, False, repeating.end()
    ratio = next((match for pattern in _RATIOS if (match := pattern.match(text))), None)
    if ratio:
        whole, sign, above, below = ratio.groups()
        if _plain(below) == 0 or (whole and sign):
            return None
        value = _plain(above) / _plain(below) * (-1 if sign == "-" else 1)
        return (_plain(whole) if whole else 0) + value, "." in above + below, ratio.end()
    decimal = _SCIENTIFIC.match(text)
    if decimal is None:
        return None
    mantissa, *exponents = decimal.groups()
    exponent = int(next((part for part in exponents if part), "0"))
    value, rounded, end = _plain(mantissa) * Fraction(10) ** exponent, "." in mantissa, decimal.end()
    magnitude = _MAGNITUDE.match(text, end)
    if magnitude:
        return value * _MAGNITUDES[magnitude.group(1)], rounded, magnitude.end()
    return value, rounded, end


def _plain(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").replace(" ", ""))


def _read_unit(text: str) -> str | None:
    """Return "" for nothing, a canonical unit, None for an unknown unit, "not a unit" for anything else.

    Latin letters that touch the number are a unit only if they are a known one of two letters or more: "5m"
    may be five times m. Behind a space, words of three letters or more are taken for what is counted ("5
    apples").
    """
    if not text.strip():
        return ""
    if takes_back(text):
        return "not a unit"
    marked = _UNIT.fullmatch(text)
    if marked:
        name, power, sign, chinese = marked.groups()
        return canonical_unit(
            (name or "") + (power or "") + (sign or "").replace(" ", "").lstrip("\\") + (chinese or "")
        )
    latin = _LATIN_UNIT.fullmatch(text)
    if latin is None:
        return "not a unit"
    space, name, power = latin.groups()
    known = canonical_unit(name + (power or ""))
    if known is not None and (space or len(name) >= 2):
        return known
    return None if space and len(name) >= 3 else "not a unit"
