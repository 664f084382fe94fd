"""One notation for answers."""

import time

import pytest

from dunwu.rewards.notation import clean, normalise_text
from dunwu.rewards.statement import expression, final_statement, word


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  5  ", "5"),
        ("$5$", "5"),
        ("$$5$$", "5"),
        (r"\[5\]", "5"),
        (r"\(f(x)\)", "f(x)"),
        ("**5**", "5"),
        ("`5`", "5"),
        ("**$5$.**", "5"),
        (r"so $\boxed{5}$.", "5"),
        ("The answer is: 5.", "5"),
        ("Therefore, the final answer is $5$.", "5"),
        ("答案是：5。", "5"),
        ("所以，最终答案为5", "5"),
        ("答案", "答案"),
        ("（１，２）", "(1,2)"),
        ("１、２", "1,2"),
        ("｛1｝", r"\{1\}"),
        ("x²", "x^{2}"),
        ("x⁻¹⁰", "x^{-10}"),
        ("log₂8", r"\log _{2}8"),
        ("5½", "5 1/2"),
        ("√2", r"\sqrt{2}"),
        ("√(x+1)", r"\sqrt{x+1}"),
        ("sqrt(x+1)", r"\sqrt{x+1}"),
        ("x**2", "x^2"),
        ("x^(1/2)", "x^{1/2}"),
        ("2*pi", r"2*\pi"),
        ("2pi", r"2\pi"),
        ("sin(x)", r"\sin (x)"),
        (r"\sin(x)", r"\sin(x)"),
        ("x=1或x=2", r"x=1\text{ or }x=2"),
        ("1 和 2", r"1 \text{ and } 2"),
        ("总和", "总和"),
        ("−5", "-5"),
        ("x ≤ 3", r"x \le 3"),
        (r"x \leq 3", r"x \le 3"),
        (r"\left( 1 \right)", "( 1 )"),
        (r"\dfrac{1}{2}", r"\frac{1}{2}"),
        (r"1{,}234\,567", "1,234,567"),
        (r"a\,b", "a b"),
        ("spider", "spider"),
        ("...", "..."),
        ("𝑥+𝟓", "x+5"),
        ("‑5", "-5"),
        ("﹣5", "-5"),
        ("≈ 42", "42"),
        ("= 42", "42"),
        ("负3", "-3"),
        ("minus 3", "-3"),
        ("“5”", "5"),
        ("【5】", "5"),
        ("**Answer:** 5", "5"),
        ("∛2", r"\sqrt[3]{2}"),
        ("sqrt 2", r"\sqrt{2}"),
        (r"\varnothing", r"\emptyset"),
        (r"\log_e 2", r"\ln 2"),
        (r"\lg 2", r"\log_{10} 2"),
        (r"\sin 30^\circ", r"\sin(\frac{30\pi}{180})"),
        (r"0.\dot{1}2\dot{3}", r"0.\overline{123}"),
        ("0.(3)", r"0.\overline{3}"),
        ("16÷2", r"16\div 2"),
        ("1与2", r"1\text{ and }2"),
        ("三分之二", r"\frac{2}{3}"),
        ("答案是四十二", "42"),
        ("two thirds", r"\frac{2}{3}"),
        (r"\{x \mid x > 2\}", "x > 2"),
        (r"{x|1<x<2}", "1<x<2"),
        (r"\{x, y\}", r"\{x, y\}"),
        (r"12,\!345", "12,345"),
        ("4比9", "4:9"),
    ],
)
def test_clean_writes_one_notation(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
    assert clean(clean(text)) == clean(text)


def test_normalise_text_keeps_powers_apart() -> None:
    assert normalise_text(" １０²\u3000a\u200bb ") == "10² ab"


@pytest.mark.parametrize(
    "piece",
    [
        "$",
        "\\(",
        "\\[",
        "√(",
        "sqrt(",
        "^(",
        "\\text{",
        "`",
        "**",
        " ",
        "1,",
        "answer is ",
        "。",
        "²",
        "\\boxed{",
        "a ",
    ],
)
def test_notation_is_quick_on_hostile_text(piece: str) -> None:
    text = (piece * 10_000)[:10_000]
    start = time.process_time()
    cleaned = clean(text)
    expression(cleaned), word(cleaned), final_statement(text)
    assert time.process_time() - start < 1.0
