from fractions import Fraction

import pytest

from dunwu.rewards.units import canonical_unit, unit_ratio


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("cm", "cm"), ("CM", "cm"), ("centimeters", "cm"), ("Centimetre", "cm"), ("厘米", "cm"),
        ("square meters", "m^2"), ("m^2", "m^2"), ("m^{2}", "m^2"), ("inches", "in"), ("feet", "ft"),
        ("cm^3", "cm^3"), ("ft^2", "ft^2"), ("^\\circ", "°"), ("degrees", "°"), ("%", "%"), ("\\$", "$"),
        ("km/h", "km/h"), ("千米/时", "km/h"), ("seconds", "s"), ("apples", None), ("cm^4", None), ("", None),
    ],
)  # fmt: skip
def test_spellings_of_a_unit_are_one(text: str, unit: str | None) -> None:
    assert canonical_unit(text) == unit


@pytest.mark.parametrize(
    ("unit", "other", "ratio"),
    [
        ("m", "cm", 100), ("cm", "m", Fraction(1, 100)), ("m^2", "cm^2", 10_000), ("m^3", "l", 1000), ("l", "cm^3", 1000),
        ("in", "cm", Fraction(254, 100)), ("mile", "km", Fraction(1609344, 10**6)), ("h", "s", 3600), ("week", "day", 7),
        ("year", "month", 12), ("kg", "g", 1000), ("$", "¢", 100), ("km/h", "m/s", Fraction(5, 18)), ("°", "°", 1),
        ("m", "m^2", None), ("m", "s", None), ("$", "¥", None), ("°", "°C", None), ("year", "day", None), ("%", "‰", None),
    ],
)  # fmt: skip
def test_ratios_of_units(unit: str, other: str, ratio: int | Fraction | None) -> None:
    assert unit_ratio(unit, other) == ratio
