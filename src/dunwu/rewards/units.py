"""Units behind a number: which spellings mean the same unit. No conversion between units is made."""

_SPELLINGS = {
    "%": "% percent percentage pct 百分比",
    "mm": "mm millimeter millimetre 毫米",
    "cm": "cm centimeter centimetre 厘米",
    "m": "m meter metre 米",
    "km": "km kilometer kilometre 千米 公里",
    "in": "in inch inches 英寸",
    "ft": "ft foot feet 英尺",
    "mile": "mile mi 英里",
    "mm^2": "平方毫米",
    "cm^2": "sqcm squarecentimeter squarecentimetre 平方厘米",
    "m^2": "sqm squaremeter squaremetre 平方米",
    "km^2": "sqkm squarekilometer squarekilometre 平方千米 平方公里",
    "cm^3": "cubiccentimeter cubiccentimetre 立方厘米",
    "m^3": "cubicmeter cubicmetre 立方米",
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
    "$": r"$ \$ usd dollar 美元",
    "¢": "¢ cent 美分",
    "€": "€ eur euro 欧元",
    "£": "£ gbp pound 英镑",
    "¥": "¥ cny rmb yuan 元 块 人民币",
    "km/h": "km/h kph kmh 千米/时 千米每小时 公里/小时 千米/小时",
    "m/s": "m/s 米/秒 米每秒",
    "mph": "mph mile/hour mileperhour",
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}


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
