"""What belongs to no language is taken out, and nothing that does hides in it."""

import pytest

from dunwu.functional.prose import HOLE, compatible, prose

TAKEN_OUT = [
    "$x^2 + y^2 = 1$",
    "$$\\int_0^1 f(x) dx$$",
    r"\(a \leq b\)",
    r"\[\begin{pmatrix}a & b\end{pmatrix}\]",
    "\\begin{align*}a &= b\\\\ c &= d\\end{align*}",
    "```python\n# a comment in plain English\nprint(x)\n```",
    "`some_call(x)`",
    r"\triangle",
    "<answer>",
    "https://example.org/a?b=c",
    "www.example.org",
    "someone@example.org",
    "x1",
    "3.14",
    "2nd",
    "snake_case",
    "camelCase",
    "numpy.linalg.norm",
    "sin",
    "gcd",
    "5 km",
    "12kg",
    "《九章算术》",
]


@pytest.mark.parametrize("piece", TAKEN_OUT)
def test_taken_out_and_a_hole_left(piece: str) -> None:
    assert prose(f"before {piece} after").replace(HOLE, "").split() == ["before", "after"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("it costs $5 and he has $10 left", "it costs $ and he has $ left"),
        ("from $5/person to-$9 now", "from $ /person to-$ now"),
        ("the price is $ high $ today", "the price is $ high $ today"),
        (r"a \$ sign and $x$ here", r"a \$ sign and here"),
        ("an ``` unclosed fence", "an ``` unclosed fence"),
        ("a ` lone back quote", "a ` lone back quote"),
        ("a ` quote\nover ` lines", "a ` quote over ` lines"),
        (r"an \[ unclosed formula", r"an \[ unclosed formula"),
        ("$f = \\text{number of apples}$ so", "number of apples so"),
        ("$\\text{if } n > 0$", "if"),
        ("$这是藏起来的话$", "这是藏起来的话"),
        ("`now hidden words here`", "now hidden words here"),
        (r"\[ this is hidden text \]", "this is hidden text"),
        ("`two words`", ""),
        ("$two words$", ""),
        ("e.g. this", ". this"),
        ("the sinus of it", "the sinus of it"),
        ("5 and 3 kilometres", "and kilometres"),
        ("5 in the sun", "in the sun"),
        ("word, word; word", "word, word; word"),
        ("判别式（discriminant）大于零", "判别式大于零"),
        ("商高 (Shang Gao) 定理", "商高 定理"),
        ("Zhang Heng (张衡) said", "Zhang Heng said"),
        ("式子（and here he goes on and on）完", "式子(and here he goes on and on)完"),
        ("print(x) it", "it"),
        ("now (x) it", "now (x) it"),
        ("call(with long prose) it", "(with long prose) it"),
        ("用Python写", "用Python写"),
    ],
)
def test_kept(text: str, kept: str) -> None:
    assert " ".join(prose(text).replace(HOLE, " ").split()).replace(" 大", "大") == kept


def test_full_width_letters_are_ordinary_ones() -> None:
    assert compatible("Ｈｅｌｌｏ，（ｘ）：②") == "Hello,(x):2"


@pytest.mark.parametrize(
    "piece",
    [
        "a", "aB", "$", "$$", "`", "```", r"\[", r"\(", r"\begin{align}", r"\text{", "(", "<a", "a.", "@", "a@", "www.", "《",
        "a(", "_", "$a", "5 k", "中(a", "\\", "{", "Ab ",
    ],
)  # fmt: skip
def test_a_hundred_thousand_characters_of_anything_come_to_an_end(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert len(prose(text)) <= len(text)
