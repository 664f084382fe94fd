"""math-verify as it is used in a grading process, here called directly on harmless expressions."""

import pytest

from dunwu.rewards import equality
from dunwu.rewards.equality import expressions_equal, parse_expression, reference_fault


def test_equal_and_unequal_expressions() -> None:
    assert expressions_equal("(x+1)^2", "x^2+2x+1") == (True, "")
    assert expressions_equal("(x+1)^2", "x^2+2x") == (False, "")


def test_an_answer_that_cannot_be_read_is_named() -> None:
    right, detail = expressions_equal(r"\frac{", "2")
    assert right is False
    assert "not a mathematical expression" in detail


def test_rounding_to_six_decimals_does_not_make_small_numbers_equal() -> None:
    assert expressions_equal("0.0", r"\sqrt{2} \times 10^{-19}")[0] is False
    assert expressions_equal("1.414214", r"\sqrt{2}")[0] is True


@pytest.mark.parametrize(
    ("latex", "fault"),
    [
        ("x+1", None),
        (r"\{1,2\}", None),
        (r"\frac{", "can read"),
        ("", "can read"),
        (r"\frac{1}{0}", "does not equal itself"),
        (r"\infty - \infty", "does not equal itself"),
        (r"\infty", None),
    ],
)
def test_reference_fault(latex: str, fault: str | None) -> None:
    found = reference_fault(latex)
    assert found is None if fault is None else fault in str(found)


def test_parse_gives_sympy_objects_only() -> None:
    assert str(parse_expression("1+x")) in ("x + 1", "1 + x")
    assert parse_expression("}{") is None


def test_the_imaginary_unit_and_decimal_exponents() -> None:
    assert expressions_equal("(1+i)^2", "2i")[0] is True
    assert expressions_equal("3 i + 2", "2+3i")[0] is True
    assert expressions_equal("2^{0.5}", r"\sqrt{2}")[0] is True
    assert expressions_equal("2^{0.51}", r"\sqrt{2}")[0] is False
    assert expressions_equal("x+j", "x+i")[0] is False


def test_relations_are_compared_before_math_verify_is_asked() -> None:
    assert expressions_equal("2x-y+1=0", "y=2x+1")[0] is True
    assert expressions_equal("(1,2)", r"\{1,2\}")[0] is False


def test_a_reference_that_equals_an_arbitrary_number_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equality, "_verify", lambda gold, given: True)
    assert reference_fault("x+2") == "it equals an arbitrary number"
