"""What a formula's text shows before any algebra."""

import time

import pytest

from dunwu.rewards.maths_form import (
    in_unit_of,
    is_unevaluated,
    same_in_base,
    split_unit,
    with_equal_subscripts,
)


@pytest.mark.parametrize(
    ("formula", "rest", "unit"),
    [
        (r"25\pi \text{ cm}^2", r"25\pi", "cm^2"), (r"10\sqrt{2} cm", r"10\sqrt{2}", "cm"), (r"2x \mathrm{km/h}", "2x", "km/h"),
        (r"60^\circ", "60", "°"), (r"\alpha^{\circ}", r"\alpha", "°"), (r"\sqrt{2}\text{厘米}", r"\sqrt{2}", "cm"),
        ("3√2厘米", "3√2", "cm"), (r"20\text{ cm}, 30\text{ cm}", "20, 30", "cm"), ("(20, 30) cm", "(20, 30)", "cm"),
        (r"20\text{ cm}, 30\text{ km}", r"20\text{ cm}, 30", "km"),
        (r"x \text{ apples}", r"x \text{ apples}", None), ("x m", "x m", None), (r"\text{cm}", r"\text{cm}", None),
        ("x+1", "x+1", None), ("", "", None),
    ],
)  # fmt: skip
def test_unit_behind_a_formula(formula: str, rest: str, unit: str | None) -> None:
    assert split_unit(formula) == (rest, unit)


@pytest.mark.parametrize(
    ("given", "wanted", "latex"),
    [
        (("x", "cm"), ("y", "cm"), "x"),
        (("x", "m"), ("y", "cm"), r"\frac{(x) \cdot 100}{1}"),
        (("x", "cm"), ("y", "m"), r"\frac{(x) \cdot 1}{100}"),
        (("x", "cm"), ("y", None), "x"),
        (("x", None), ("y", "cm"), "x"),
        (("x", "cm"), ("y", "s"), None),
        (("60", "°"), (r"\frac{\pi}{3}", None), r"\frac{(60) \cdot \pi}{180}"),
        ((r"\frac{\pi}{3}", None), ("60", "°"), r"\frac{(\frac{\pi}{3}) \cdot 180}{\pi}"),
        (("60", "°"), ("60", None), "60"),
        (("60", None), ("60", "°"), "60"),
    ],
)
def test_answers_are_converted_to_the_references_unit(
    given: tuple[str, str | None], wanted: tuple[str, str | None], latex: str | None
) -> None:
    assert in_unit_of(given, wanted) == latex


@pytest.mark.parametrize(
    ("given", "wanted", "same"),
    [
        ("1010_2", "1010_{2}", True), ("0101_2", "101_2", True), ("1010_2", "1010_3", False), ("1011_2", "1010_2", False),
        ("FF_{16}", "FF_{16}", None), ("1F_{16}", "1F_{16}", True), ("1010", "1010_2", None), ("x_1", "x_1", None),
    ],
)  # fmt: skip
def test_numerals_in_a_base(given: str, wanted: str, same: bool | None) -> None:
    assert same_in_base(given, wanted) is same


def test_subscripts_are_dropped_where_only_one_side_has_them() -> None:
    assert with_equal_subscripts("x_1=1, x_{2}=2", "1, 2") == ("x=1, x=2", "1, 2")
    assert with_equal_subscripts("x=1, x=2", "x_1=1, x_2=2") == ("x=1, x=2", "x=1, x=2")
    assert with_equal_subscripts("x_1=2, x_2=1", "x_1=1, x_2=2") == ("x_1=2, x_2=1", "x_1=1, x_2=2")


@pytest.mark.parametrize(
    "given",
    [
        *(
            "3+4",
            "123 + 456",
            "6*7",
            r"6 \times 7",
            r"6 \cdot 7",
            r"16 \div 2",
            "(1+2)*3",
            "1/2+1/3",
            "2*(-3)",
            "5-(-2)",
        ),
        *(
            r"\frac{1}{2}+\frac{1}{3}",
            r"\sum_{k=1}^{10} k",
            r"\int_0^1 x dx",
            r"\lim_{n} 1",
            r"\prod_{k=1}^3 k",
            "x = 3+4",
        ),
    ],
)
def test_computations_are_no_results(given: str) -> None:
    assert is_unevaluated(given, "7")
    assert not is_unevaluated(given, "7x")


@pytest.mark.parametrize(
    "given",
    [
        *(
            "7",
            "-7",
            "3+4=7",
            r"\sum_{k=1}^{10} k = 55",
            "7/2",
            r"\frac{7}{2}",
            "(7)",
            "-(-7)",
            "2^{10}",
            r"\sqrt{49}",
            "5!",
        ),
        *(r"2 \times 3^5", r"1.6 \times 10^{-19}", "5 1/2", "x+7", r"7\pi", "", r"\binom{5}{2}", r"(2/3)"),
    ],
)
def test_results_are_results(given: str) -> None:
    assert not is_unevaluated(given, "7")


@pytest.mark.parametrize("piece", ["1+", "(", r"\text{", "x_1=", r"\frac{1}{2}", "= ", "{", "cm ", r"^\circ"])
def test_time_is_linear(piece: str) -> None:
    text = piece * (10_000 // len(piece))
    start = time.process_time()
    split_unit(text)
    is_unevaluated(text, "7")
    same_in_base(text, text)
    with_equal_subscripts(text, "7")
    assert time.process_time() - start < 1.0
