"""Numbers as people write them."""

from fractions import Fraction

import pytest

from dunwu.rewards.notation import clean
from dunwu.rewards.numeric import (
    Quantity,
    canonical_number,
    judge_numeric,
    latex_number,
    parse_quantity,
    quantities_equal,
)


@pytest.mark.parametrize(
    ("text", "value", "rounded", "unit"),
    [
        ("5", 5, False, ""),
        ("-5", -5, False, ""),
        ("- 5", -5, False, ""),
        ("1,234,567", 1234567, False, ""),
        ("1 234", 1234, False, ""),
        (r"1\,234", 1234, False, ""),
        (".5", Fraction(1, 2), True, ""),
        ("5.", 5, False, ""),
        ("51/2", Fraction(51, 2), False, ""),
        ("5 1/2", Fraction(11, 2), False, ""),
        ("-5 1/2", Fraction(-11, 2), False, ""),
        (r"5\frac{1}{2}", Fraction(11, 2), False, ""),
        (r"\frac12", Fraction(1, 2), False, ""),
        (r"\dfrac{-1.5}{2}", Fraction(-3, 4), True, ""),
        ("½", Fraction(1, 2), False, ""),
        ("1.6e-3", Fraction(16, 10000), True, ""),
        (r"6 \times 10^{2}", 600, False, ""),
        ("6×10^2", 600, False, ""),
        ("50%", 50, False, "%"),
        (r"50\%", 50, False, "%"),
        ("50 percent", 50, False, "%"),
        ("$5", 5, False, "$"),
        ("$-5", -5, False, "$"),
        ("-$5.50", Fraction(-11, 2), True, "$"),
        ("¥５", 5, False, "¥"),
        ("5cm", 5, False, "cm"),
        (r"5\text{ m}", 5, False, "m"),
        ("5 m", 5, False, "m"),
        (r"12 \text{ cm}^2", 12, False, "cm^2"),
        ("5厘米", 5, False, "cm"),
        ("90°", 90, False, "°"),
        ("3 apples", 3, False, None),
        ("7个", 7, False, None),
        ("3/4 hours", Fraction(3, 4), False, "h"),
        (r"0.\overline{3}", Fraction(1, 3), False, ""),
        (r"-1.2\bar{3}", Fraction(-37, 30), False, ""),
        (r"0.\dot{1}4285\dot{7}", Fraction(1, 7), False, ""),
        (r"0.\dot 6 cm", Fraction(2, 3), False, "cm"),
        ("0.(12)", Fraction(4, 33), False, ""),
        ("0.1666...", Fraction(1, 6), False, ""),
        (r"2.3333\ldots", Fraction(7, 3), False, ""),
        ("0.142857142857…", Fraction(1, 7), False, ""),
        ("1.5 million", 1500000, True, ""),
        (r"3 \text{ billion}", 3 * 10**9, False, ""),
        ("$2 million", 2 * 10**6, False, "$"),
        ("2 thousand dollars", 2000, False, "$"),
        ("US$18", 18, False, "$"),
        ("USD 18", 18, False, "$"),
        ("￥18", 18, False, "¥"),
        ("50 per mille", 50, False, "‰"),
        ("三分之二", Fraction(2, 3), False, ""),
        ("1.5万元", 15000, False, "¥"),
        ("twenty-three apples", 23, False, None),
    ],
)
def test_quantity_is_read_exactly(text: str, value: int | Fraction, rounded: bool, unit: str | None) -> None:
    assert parse_quantity(clean(text)) == Quantity(Fraction(value), rounded, unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "5m",
        "2x",
        "5i",
        "12 34",
        "1,23",
        "1/0",
        "5 + 3",
        "3:4",
        "1/2/3",
        "(5)",
        "$5 cm",
        "2^3",
        "9" * 401,
        r"5\frac{-1}{2}",
        "1e9999",
        "5 ab",
        "--5",
        "1.2.3",
        "nan",
        "inf",
        "1.41...",
        "42不是答案",
        r"42 \text{ is wrong}",
        r"5 \text{ if } x > 0",
    ],
)
def test_what_is_no_single_number_is_not_read(text: str) -> None:
    assert parse_quantity(clean(text)) is None


@pytest.mark.parametrize(
    ("answer", "reference", "equal"),
    [
        ("0.333333", "1/3", True),
        ("0.33333", "1/3", False),
        ("1/3", "0.333333", True),
        ("333333", "333334", False),
        ("10000001/10000000", "1", False),
        ("0.0", "1.6e-19", False),
        ("0.0000004", "0.0", False),
        ("2.0000001", "2", True),
        ("2.000001", "2", False),
        ("50%", "0.5", True),
        ("0.5", "50%", True),
        ("50", "50%", True),
        ("50%", "5000%", False),
        ("5000", "50%", False),
        ("5 cm", "5", True),
        ("5 cm", "5 km", False),
        ("5 cm", "5厘米", True),
        ("5 apples", "5 pears", True),
        ("50%", "50 cm", False),
        ("500 cm", "5 m", True),
        ("5 m", "500 cm", True),
        ("50 cm", "5 m", False),
        ("10 m/s", "36 km/h", True),
        ("120 min", "2 hours", True),
        ("1 L", "1000 cubic centimeters", True),
        ("5 cents", "$0.05", True),
        ("$5", "5元", False),
        ("30.48 cm", "1 ft", True),
        ("30.47 cm", "1 ft", False),
    ],
)
def test_equality_of_quantities(answer: str, reference: str, equal: bool) -> None:
    given, wanted = parse_quantity(clean(answer)), parse_quantity(clean(reference))
    assert given is not None
    assert wanted is not None
    assert quantities_equal(given, wanted) is equal


def test_numeric_grader_wants_a_number_and_nothing_else() -> None:
    assert judge_numeric("The answer is 1,024.", "1024") is True
    assert judge_numeric("2^{10}", "1024") is False
    assert judge_numeric("5 or 6", "6") is False
    assert judge_numeric("", "6") is False
    assert judge_numeric("5", "many") is None


@pytest.mark.parametrize(
    ("text", "latex", "vote"),
    [
        ("5", "5", "5"),
        ("5.0", "5.0", "5"),
        ("0.50", "0.5", "1/2"),
        ("-.125", "-0.125", "-1/8"),
        ("0.0000012", "0.0000012", "3/2500000"),
        ("5 1/2 cm", r"\frac{11}{2}", "11/2"),
        ("1.5/7", r"\frac{3}{14}", "3/14"),
        ("50%", r"50\%", "50%"),
    ],
)
def test_number_for_latex_and_for_votes(text: str, latex: str, vote: str) -> None:
    quantity = parse_quantity(clean(text))
    assert quantity is not None
    assert latex_number(quantity) == latex
    assert canonical_number(quantity) == vote
