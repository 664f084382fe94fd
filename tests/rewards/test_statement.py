"""Which part of an answer states its result."""

import pytest

from dunwu.rewards.statement import expression, final_statement, is_prose, takes_back, word


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x+1", "x+1"),
        ("$1$ and $2$", "1 and 2"),
        ("$x$, $y$", "x, y"),
        ("the value $x+1$ holds", "x+1"),
        ("the value $x$ or rather $y$", None),
        ("5 square meters", "5"),
        ("there are 12 apples", "12"),
        ("there are 12 apples and 3 pears", None),
        ("there are many apples", None),
        ("12 34", None),
        (r"\log_2 8", r"\log_2 8"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
        ("$ $", None),
        ("", None),
        ("It is 42", "42"),
        ("一共有42个苹果", "42"),
        ("it certainly cannot be 42", None),
        ("there are more than 42 apples", None),
        ("the value is 42 if x is even", None),
        (r"5 \text{ if } x > 0", None),
        ('exec("print(5)") is fine', None),
        ("1.2.3", None),
    ],
)
def test_expression_is_one_or_none(text: str, found: str | None) -> None:
    assert expression(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("even", "even"), ("No Solution", "no solution"), (r"\text{Monday}", "monday"), ("星期一", "星期一"),
        ("是", "是"), ("abc", None), ("A", None), ("x+1", None), ("5", None), ("", None), (r"\text{}", None),
    ],
)  # fmt: skip
def test_word_is_letters_only_and_no_variables(text: str, found: str | None) -> None:
    assert word(text) == found


def test_prose_is_two_words_outside_latex() -> None:
    assert is_prose("the value is 5")
    assert is_prose("它 等于 5")
    assert not is_prose(r"\text{no real solution}")
    assert not is_prose(r"\frac{x}{y} \text{ or } \alpha")
    assert not is_prose("x = 5 and y = 3")
    assert not is_prose("5 apples")


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        (r"We get \boxed{5}, not 6.", r"We get \boxed{5}, not 6."),
        ("1 + 1 = 3\nThe answer is 2.\nI hope so.", "2."),
        ("答案是 4", "4"),
        ("There are two answers: 3 + 4 = 7", " 7"),
        ("3 and 4\n#### 7", "7"),
        ("First 3.\nSo $x$ is $7$.", "7"),
        ("First 3.\n3 + 4 = 7", " 7"),
        ("There are 3 red and 4 blue", "4"),
        ("7", "7"),
        ("x+1\n", "x+1"),
        ("So it is 6 or 7.", "6 or 7"),
        ("So it is $6$ or $7$.", "$6$ or $7$"),
        ("x = 6 or x = 7", "x = 6 or x = 7"),
        ("x = 3, so y = x + 4 = 7", " 7"),
        ("It is certainly not 7.", "It is certainly not 7."),
        ("It is not 6, so it must be 7.", "7"),
        ("If we add them, we get 7.", "7"),
    ],
)
def test_final_statement_is_the_last_guess(text: str, statement: str) -> None:
    assert final_statement(text) == statement


@pytest.mark.parametrize(
    "words",
    [
        "not",
        "it isn't",
        "cannot be",
        "unless x",
        "more than",
        "At Least",
        "if x > 0",
        "不是",
        "大于",
        'exec("',
        "wrong",
    ],
)
def test_words_that_take_an_answer_back(words: str) -> None:
    assert takes_back(words)


@pytest.mark.parametrize(
    "words", ["", "the value is", "nothing", "another", "knot", "apples", "所以", "f(x)", "thickness"]
)
def test_words_that_leave_an_answer_as_it_is(words: str) -> None:
    assert not takes_back(words)
