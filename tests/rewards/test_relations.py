"""Equations, inequalities, sets and ordered tuples, called directly on harmless expressions."""

import pytest

from dunwu.rewards.equality import parse_expression
from dunwu.rewards.relations import compare_relations


@pytest.mark.parametrize(
    ("gold", "given", "same"),
    [
        (r"\{1,2\}", "(1,2)", False), ("(1,2)", r"\{1,2\}", False), (r"\{1,2,3\}", "(1,2,3)", False),
        ("x=3,y=4", "(3,4)", True), ("(3,4)", "y=4,x=3", True), ("x=3,y=4", "(4,3)", False), ("x=3,y=4", "[3,4]", False),
        ("x=1,y=2,z=3", "(1,2,3)", True), ("x=1,y=2,z=3", "(1,2)", False), ("x=1,x=2", "(1,2)", False),
        ("y=2x+1", "2x-y+1=0", True), ("y=2x+1", "4x-2y+2=0", True), ("y=2x+1", "2x+y+1=0", None),
        ("x^2=4", "x=2", None), ("x=5", "y=5", None), ("x^2+y^2=4", "x^2+y^2=2", None), ("x=x", "x=x+0", True),
        ("x=5", "0=0", None), ("x=5", "x-x=0", False),
        ("1<x<2", "2>x>1", True), ("1<x<2", r"1 \le x \le 2", False), (r"x \ge 3", r"[3,\infty)", True),
        (r"x \ge 3", "x>3", False), (r"x \ge 3", r"y \ge 3", False), (r"m \le \frac{1}{2}", r"m \le 0.5", True),
        (r"x>1 \text{ or } x<-1", r"(-\infty,-1)\cup(1,\infty)", True), ("x<3", "x<y", None), (r"x \ne 2", "x=2", None),
        (r"|x| \le 1", r"-1 \le x \le 1", True), ("x+1", "1+x", None), ("1,2", "2,1", None),
    ],
)  # fmt: skip
def test_relations(gold: str, given: str, same: bool | None) -> None:
    assert compare_relations(parse_expression(gold), parse_expression(given)) is same


def test_long_relations_are_left_to_math_verify() -> None:
    long = parse_expression("+".join(f"x^{{{n}}}" for n in range(2, 90)) + "=1")
    assert compare_relations(long, long) is None


@pytest.mark.parametrize("latex", [r"x^x + \sin x > \cos x^x", r"\sin x > \frac{1}{2}"])
def test_what_sympy_cannot_solve_is_left_to_math_verify(latex: str) -> None:
    hard = parse_expression(latex)
    assert compare_relations(hard, parse_expression("x>1")) is None
