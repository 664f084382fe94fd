"""English number words in digits."""

import pytest

from dunwu.rewards.english_numerals import number_from_words


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("zero", "0"), ("Five", "5"), ("five apples", "5 apples"), ("nineteen", "19"), ("twenty-three", "23"),
        ("twenty three", "23"), ("one hundred", "100"), ("one hundred and five", "105"), ("five hundred six", "506"),
        ("one hundred twenty", "120"), ("two hundred thousand", "200000"), ("one thousand two hundred", "1200"),
        ("one million two hundred thousand and three", "1200003"), ("minus five", "-5"), ("negative two", "-2"),
        ("one half", r"\frac{1}{2}"), ("two thirds", r"\frac{2}{3}"), ("three quarters", r"\frac{3}{4}"),
        ("seven halves", r"\frac{7}{2}"), ("minus two thirds", r"-\frac{2}{3}"), ("five km", "5 km"),
        ("hundred", None), ("thousand", None), ("twenty twenty", None), ("five five", None), ("ten two", None),
        ("two and three", None), ("and five", None), ("five and", None), ("four or five", None), ("one zero", None),
        ("one hundred hundred", None), ("one thousand thousand", None), ("five red apples", None), ("none", None),
        ("A", None), ("even", None), ("", None), ("5", None), ("twenty-", None), ("minus", None),
    ],
)  # fmt: skip
def test_texts_that_are_one_number(text: str, written: str | None) -> None:
    assert number_from_words(text) == written
