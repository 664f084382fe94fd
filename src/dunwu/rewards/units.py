"""Units behind a number: which spellings mean the same unit, and how many of one make another."""

from fractions import Fraction

_SPELLINGS = {
    "%": "% percent percentage pct 百分比",
    "‰": "‰ permille 千分比",
    "mm": "mm millimeter millimetre 毫米",
    "cm": "cm centimeter centimetre 厘米",
    "dm": "dm decimeter decimetre 分米",
    "m": "m meter metre 米",
    "km": "km kilometer kilometre 千米 公里",
    "in": "in inch inches 英寸",
    "ft": "ft foot feet 英尺",
    "yd": "yd yard 码",
    "mile": "mile mi 英里",
    "mm^2": "平方毫米",
    "cm^2": "sqcm squarecentimeter squarecentimetre 平方厘米",
    "dm^2": "平方分米",
    "m^2": "sqm squaremeter squaremetre 平方米",
    "km^2": "sqkm squarekilometer squarekilometre 平方千米 平方公里",
    "in^2": "sqin squareinch squareinches 平方英寸",
    "ft^2": "sqft squarefoot squarefeet 平方英尺",
    "cm^3": "cubiccentimeter cubiccentimetre 立方厘米",
    "dm^3": "立方分米",
    "m^3": "cubicmeter cubicmetre 立方米",
    "in^3": "cubicinch cubicinches 立方英寸",
    "ft^3": "cubicfoot cubicfeet 立方英尺",
    "ml": "ml milliliter millilitre 毫升",
    "l": "l liter litre 升",
    "mg": "mg milligram 毫克",
    "g": "g gram gramme 克",
    "kg": "kg kilogram kilogramme 千克 公斤",
    "t": "t ton tonne 吨",
    "ms": "ms millisecond 毫秒",
    "s": "s sec second 秒",
    "min": "min minute 分 分钟",
    "h": "h hr hour 时 小时",
    "day": "day d 天 日",
    "week": "week 周 星期",
    "month": "month 月 个月",
    "year": "year yr 年",
    "°": r"° ^\circ ^{\circ} \circ degree deg 度",
    "°C": "℃ °c ^\\circc degreecelsius degreescelsius 摄氏度",
    "$": r"$ \$ usd us$ dollar 美元",
    "¢": "¢ cent 美分",
    "€": "€ eur euro 欧元",
    "£": "£ gbp pound 英镑",
    "¥": "¥ cny rmb yuan 元 块 人民币",
    "km/h": "km/h kph kmh kmperhour kilometerperhour kilometersperhour 千米/时 千米每小时 公里/小时 千米/小时",
    "m/s": "m/s meterpersecond meterspersecond mpersecond 米/秒 米每秒",
    "mph": "mph mile/hour mileperhour milesperhour",
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}

_LENGTHS = {
    **{"mm": Fraction(1, 1000), "cm": Fraction(1, 100), "dm": Fraction(1, 10), "m": Fraction(1)},
    **{"km": Fraction(1000), "in": Fraction(254, 10000), "ft": Fraction(3048, 10000)},
    **{"yd": Fraction(9144, 10000), "mile": Fraction(1609344, 1000)},
}
_SCALES: dict[str, tuple[str, Fraction]] = {
    **{unit: ("length", scale) for unit, scale in _LENGTHS.items()},
    **{f"{unit}^2": ("area", scale**2) for unit, scale in _LENGTHS.items()},
    **{f"{unit}^3": ("volume", scale**3) for unit, scale in _LENGTHS.items()},
    **{"l": ("volume", Fraction(1, 1000)), "ml": ("volume", Fraction(1, 10**6))},
    **{"mg": ("mass", Fraction(1, 1000)), "g": ("mass", Fraction(1)), "kg": ("mass", Fraction(1000))},
    **{"t": ("mass", Fraction(10**6))},
    **{"ms": ("time", Fraction(1, 1000)), "s": ("time", Fraction(1)), "min": ("time", Fraction(60))},
    **{"h": ("time", Fraction(3600)), "day": ("time", Fraction(86400)), "week": ("time", Fraction(604800))},
    **{"month": ("months", Fraction(1)), "year": ("months", Fraction(12))},
    **{"$": ("dollars", Fraction(1)), "¢": ("dollars", Fraction(1, 100))},
    **{"m/s": ("speed", Fraction(1)), "km/h": ("speed", Fraction(5, 18))},
    "mph": ("speed", Fraction(1609344, 3600000)),
}


def canonical_unit(text: str) -> str | None:
    """Return the one name of a unit however it is spelled, None for a unit that is not known ("apples").

    Args:
        text: what stands before or behind a number, without `\\text{}`, in any case, singular or plural.
    """
    text = text.replace(" ", "").replace("^{2}", "^2").replace("^{3}", "^3")
    for form in (text, text.casefold(), text.casefold().removesuffix("s")):
        if form in _UNIT_OF:
            return _UNIT_OF[form]
    base, power, exponent = text.partition("^")
    if power and exponent in ("2", "3") and base.casefold() in _UNIT_OF:
        return f"{_UNIT_OF[base.casefold()]}^{exponent}"
    return None


def unit_ratio(unit: str, other: str) -> Fraction | None:
    """Return how many of the other unit make one of the first (cm in m: 100); None where they measure different
    things.

    Args:
        unit, other: canonical names. Temperatures and angles are not converted.
    """
    if unit == other:
        return Fraction(1)
    if unit not in _SCALES or other not in _SCALES:
        return None
    (measure, scale), (other_measure, other_scale) = _SCALES[unit], _SCALES[other]
    return scale / other_scale if measure == other_measure else None
