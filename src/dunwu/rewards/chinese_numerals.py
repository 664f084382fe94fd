"""Chinese numerals in Arabic digits: 一百二十三 is 123, 三分之二 is \\frac{2}{3}, 百分之五 is 5\\%, 1.5万 is 15000.

Pure text in, pure text out. Only a text that is one numeral, with at most a unit or a measure word behind it,
is rewritten: 三角形 is no number, and neither are 一样 and 星期一. Called by `notation.clean`.
"""

import re
from decimal import Decimal
from fractions import Fraction

from dunwu.rewards.units import canonical_unit

_MAX_CHARS = 40
_DIGIT = {char: value for value, chars in enumerate(
    ("零〇", "一壹", "二两贰兩", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
) for char in chars}  # fmt: skip
_PLACE = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_SECTION = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "万亿": 10**12}
_NUMERAL = f"[{''.join(_DIGIT)}{''.join(_PLACE)}万萬亿億]"
_DIGITS = re.compile(f"[{''.join(_DIGIT)}]+")
_TAIL = re.compile(r"[\u4e00-\u9fff/]{0,6}")
_MEASURE_WORDS = frozenset(
    "个只本人次种张件条头棵支枝块片杯瓶倍岁辆台间层组对双套颗位名份页题步箱袋盒座列排行筐朵束根面"
)
_PREFIXED_UNIT = "千(?![克米瓦卡焦赫])"  # 千克 and 千米 are units of their own

_WHOLE = re.compile(f"({_NUMERAL}+)")
_DECIMAL = re.compile(f"({_NUMERAL}+)点([{''.join(_DIGIT)}]+)")
_PERCENT = re.compile(rf"百分之({_NUMERAL}+(?:点[{''.join(_DIGIT)}]+)?|\d+(?:\.\d+)?)")
_FRACTION = re.compile(rf"(?:({_NUMERAL}+)又)?({_NUMERAL}+|\d+)分之({_NUMERAL}+|\d+)")
_MIXED_SCRIPT = re.compile(
    rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?:(?:{_PREFIXED_UNIT}|百)?(?:万亿|万|亿)|{_PREFIXED_UNIT}|百)"
)


def arabic_number(text: str) -> str | None:
    """Return a text that is one Chinese numeral in Arabic digits, LaTeX for fractions and percent; None if it
    is not one.

    Args:
        text: without white space at its ends. A known unit or a common measure word may follow the numeral
            and is kept.
    """
    if len(text) > _MAX_CHARS:
        return None
    sign, text = ("-", text[1:].lstrip()) if text.startswith(("负", "-")) else ("", text)
    for pattern, write in _READINGS:
        match = pattern.match(text)
        if match is None or not _is_tail(text[match.end() :]):
            continue
        number = write(match)
        if number is not None:
            return sign + number + text[match.end() :]
    return _joined_sections(sign, text)


def chinese_integer(text: str) -> int | None:
    """Return the integer that a text of Chinese numerals alone names, None if it names none.

    Read are place values (一千零五), digits in a row (二〇二四), and the spoken short forms 一万五 (15,000) and
    三百二 (320).
    """
    if _DIGITS.fullmatch(text):
        return int("".join(str(_DIGIT[char]) for char in text))
    total, ceiling, rest = 0, 10**13, text
    for name in ("万亿", "亿", "億", "万", "萬"):
        head, found, tail = rest.partition(name)
        if not found or (name in ("亿", "億") and _SECTION[name] >= ceiling):
            continue
        count = _below_ten_thousand(head)
        if not count:
            return None
        ceiling, rest = _SECTION[name], tail
        total += count * ceiling
    if total and rest and len(rest) == 1 and _DIGIT.get(rest, 0):
        return total + _DIGIT[rest] * ceiling // 10
    last = _below_ten_thousand(rest) if rest else 0
    return None if last is None else total + last


def _below_ten_thousand(text: str) -> int | None:
    """Read 千, 百, 十 and a last digit, places falling; 零 may fill a gap."""
    total, ceiling, skipped, rest = 0, 10**4, False, text
    while rest:
        if _DIGIT.get(rest[0]) == 0:
            if len(rest) == 1:
                return None
            skipped, rest = True, rest[1:]
            continue
        digit = _DIGIT.get(rest[0], 1 if rest[0] in "十拾" else None)
        if digit is None:
            return None
        rest = rest if rest[0] in _PLACE else rest[1:]
        place = _PLACE.get(rest[:1])
        if place is None:  # the last digit; 三百二 means 320
            return total + digit * (ceiling // 10 if total and not skipped else 1) if not rest else None
        if place >= ceiling:
            return None
        total, ceiling, skipped, rest = total + digit * place, place, False, rest[1:]
    return total


def _is_tail(text: str) -> bool:
    """Return whether a text may follow a numeral: nothing, a unit, a measure word, 个 and what is counted."""
    if not text or text in _MEASURE_WORDS:
        return True
    return bool(_TAIL.fullmatch(text)) and (text[0] == "个" or canonical_unit(text) is not None)


def _integer(digits: str) -> int | None:
    return int(digits) if digits.isdecimal() else chinese_integer(digits)


def _write_whole(match: re.Match[str]) -> str | None:
    value = chinese_integer(match.group(1))
    return None if value is None else str(value)


def _write_decimal(match: re.Match[str]) -> str | None:
    whole = chinese_integer(match.group(1))
    return None if whole is None else f"{whole}.{''.join(str(_DIGIT[char]) for char in match.group(2))}"


def _write_percent(match: re.Match[str]) -> str | None:
    inner = match.group(1)
    if inner in "百佰":
        return r"100\%"
    if inner[0].isdecimal():
        return rf"{inner}\%"
    number = arabic_number(inner)
    return None if number is None else rf"{number}\%"


def _write_fraction(match: re.Match[str]) -> str | None:
    whole, below, above = match.group(1), _integer(match.group(2)), _integer(match.group(3))
    if not below or above is None:
        return None
    written = rf"\frac{{{above}}}{{{below}}}"
    if whole is None:
        return written
    count = chinese_integer(whole)
    return None if count is None else f"{count}{written}"


_READINGS = (
    (_PERCENT, _write_percent),
    (_FRACTION, _write_fraction),
    (_DECIMAL, _write_decimal),
    (_WHOLE, _write_whole),
)


def _joined_sections(sign: str, text: str) -> str | None:
    """Read Arabic digits with Chinese places: 1.5万, 3亿5000万, 1万2千."""
    total, ceiling, rest = Fraction(0), Fraction(10**14), text
    while match := _MIXED_SCRIPT.match(rest):
        digits = re.match(r"[\d,.]+", match.group())
        assert digits is not None, "the pattern begins with digits"
        scale = Fraction(1)
        for name in re.findall("万亿|.", match.group()[digits.end() :]):
            scale *= _PLACE.get(name) or _SECTION[name]
        if scale >= ceiling:
            return None
        total += Fraction(digits.group().replace(",", "")) * scale
        ceiling, rest = scale, rest[match.end() :]
    if not total:
        return None
    if ceiling == 10**4 and re.match(r"\d{4}(?!\d)", rest):
        total, rest = total + int(rest[:4]), rest[4:]
    if not _is_tail(rest):
        return None
    return f"{sign}{Decimal(total.numerator) / total.denominator:f}{rest}"  # exact: 10 ** n is below
