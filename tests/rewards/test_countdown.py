"""Countdown and 24: every number once, nothing evaluated by Python."""

import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.records import Problem
from dunwu.rewards.countdown import countdown_fault, judge_countdown


def make(numbers: Any, target: Any, reference: str = "", **more: Any) -> Problem:
    metadata = {"numbers": numbers, "target": target, **more}
    return Problem("p", "k", "Make it.", reference, "countdown", metadata=metadata)


@pytest.mark.parametrize(
    "answer",
    [
        *(
            "1*2*3*4",
            "(1+2+3)*4",
            "4*(1+2+3) = 24",
            "4×(1+2+3)",
            "（1+2+3）×4",
            "(1+2+3)*4=24=24",
            "0001*2*3*4",
        ),
        *(
            r"$4 \times (1+2+3)$",
            r"\boxed{4 \cdot (1+2+3)}",
            "4 ⋅ (1 + 2 + 3)",
            "1x2x3x4",
            "-1*-2*3*4",
            "+1*2*3*4",
        ),
        *("The answer is (1+2+3)*4", "Answer: (1 + 2 + 3) * 4.", "**(1+2+3)*4**", "I tried 1+2.\n(1+2+3)*4"),
        *("答案是(1+2+3)×4", "`1*2*3*4`"),
    ],
)
def test_right_expressions(answer: str) -> None:
    assert judge_countdown(answer, make([1, 2, 3, 4], 24)) == (True, "")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("24", "it uses 24"), ("6*4", "it uses 6, 4"), ("2*3*4", "it uses 2, 3, 4"), ("1*2*3*4*1", "it uses"),
        ("12*(3-4+3)", "it uses"), ("24*1*2*3*4/24", "it uses"), ("4+3+2+1", "it makes 10, not 24"),
        ("1*2*3*4=25", "behind the equals sign is not 24"), ("1*2*3*4=24=23", "behind the equals sign"),
        ("1*2*3*4=", "behind the equals sign"), ("1+2=3, 3+3=6, 6*4=24", "behind the equals sign"),
        ("", "not an expression"), ("=24", "not an expression"), ("(1+2+3*4", "not an expression"),
        ("1+2+3)*4", "not an expression"), ("(1+2+3)(4)", "not an expression"), ("1**2*3*4", "not an expression"),
        ("4!*1", "not an expression"), ("2^3*(4-1)", "not an expression"), ("1.0*2*3*4", "not an expression"),
        ("1*2*3*4#", "not an expression"), ("(1+2+3)*4 or 1*2*3*4", "not an expression"),
        ("__import__('os')", "not an expression"), ("1*2*3*4;1", "not an expression"), ("()", "not an expression"),
        ("1/(2-2)*3*4", "not an expression"), ("1 2 3 4", "not an expression"), ("-", "not an expression"),
        ("9999999999999*2*3*4", "not an expression"), ("1+" * 200 + "1", "too long"),
    ],
)  # fmt: skip
def test_wrong_expressions_and_why(answer: str, why: str) -> None:
    right, detail = judge_countdown(answer, make([1, 2, 3, 4], 24))
    assert right is False
    assert why in detail


@pytest.mark.parametrize("answer", ["8/(3-8/3)", r"\frac{8}{3-\frac{8}{3}}", "8÷(3-8÷3)=24"])
def test_fractions_on_the_way_are_exact(answer: str) -> None:
    assert judge_countdown(answer, make([3, 3, 8, 8], 24)) == (True, "")


def test_some_numbers_may_be_left_out_where_the_task_says_so() -> None:
    task = make([3, 3, 8, 8], 24, use_all=False)
    assert judge_countdown("8*3", task)[0] is True
    assert judge_countdown("8*3*1", task)[0] is False
    assert judge_countdown("8+8+8", task)[0] is False
    assert judge_countdown("8*3", make([3, 3, 8, 8], 24))[0] is False


@pytest.mark.parametrize(
    ("numbers", "target", "reference", "fault"),
    [
        ([1, 2, 3, 4], 24, "", None),
        ([1, 2, 3, 4], 24, "24", None),
        ([1, 2, 3, 4], 24, "1*2*3*4", None),
        ([1, 2, 3, 4], 24, "1*2*3+4", "its own solution"),
        (None, 24, "", "numbers is None"),
        ([1, "2"], 3, "", "list of integers"),
        ([1, -2], 3, "", "integers from 0"),
        ([True, 2], 3, "", "list of integers"),
        ([], 3, "", "there are 0 numbers"),
        ([1] * 17, 3, "", "there are 17 numbers"),
        ([1, 2], "3", "", "target is '3'"),
        ([1, 2], 2.5, "", "target is 2.5"),
    ],
)
def test_faults(numbers: Any, target: Any, reference: str, fault: str | None) -> None:
    found = countdown_fault(make(numbers, target, reference))
    assert found is None if fault is None else fault in str(found)


@st.composite
def expressions(draw: st.DrawFn) -> tuple[str, list[int], Fraction | None]:
    """A fully bracketed expression, the numbers in it, and its value by direct computation."""
    text, value = "", None
    numbers = draw(st.lists(st.integers(0, 20), min_size=1, max_size=6))
    for position, number in enumerate(numbers):
        if position == 0:
            text, value = str(number), Fraction(number)
            continue
        sign = draw(st.sampled_from("+-*/"))
        flipped = draw(st.booleans())
        text = f"({number}{sign}({text}))" if flipped else f"(({text}){sign}{number})"
        if value is None:
            continue
        left, right = (Fraction(number), value) if flipped else (value, Fraction(number))
        value = {
            "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
            "/": lambda a, b: None if b == 0 else a / b,
        }[sign](left, right)  # fmt: skip
    return text, numbers, value


@settings(max_examples=200, deadline=None)
@given(expressions())
def test_values_agree_with_direct_computation(case: tuple[str, list[int], Fraction | None]) -> None:
    text, numbers, value = case
    whole = value is not None and value.denominator == 1
    target = int(value) if whole and value is not None else 0
    assert judge_countdown(text, make(numbers, target))[0] is whole
    assert judge_countdown(text, make(numbers, target + 1))[0] is False


@pytest.mark.parametrize(
    "text", ["2-3-4", "24/2/3", "2-3*4+5", "2*3-4*5", "-2+3", "2--3", "2-(3-4)-5", "8/4*2"]
)
def test_precedence_and_order_are_those_of_arithmetic(text: str) -> None:
    numbers = [int(char) for char in text.replace("24", "") if char.isdigit()] + [24] * text.count("24")
    assert judge_countdown(text, make(numbers, int(eval(text))))[0] is True


@pytest.mark.parametrize("piece", ["(", "1+", "-", "9", "1/", r"\frac{", "=", "x", "answer ", "\n"])
def test_time_is_bounded_on_hostile_text(piece: str) -> None:
    start = time.process_time()
    assert judge_countdown(piece * (10_000 // len(piece)), make([1, 2, 3, 4], 24))[0] is False
    assert time.process_time() - start < 1.0
