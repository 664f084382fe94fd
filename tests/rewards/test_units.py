import pytest

from dunwu.rewards.units import canonical_unit


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
