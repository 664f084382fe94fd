import pytest

from dunwu.data.comparable_text import comparable_tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tom has 3 apples; how many?", "TOM   has 3 apples\nhow many"),
        ("ＴＯＭ has ３ apples", "tom has 3 apples"),
        ("a well-known and/or **bold** claim", "a well known and or bold claim"),
        ("it costs $1,234,567", "it costs 1234567 $"),
        ("don’t", "dont"),
        ("5 × 2 − 1", "5*2-1"),
        ("小明有3个苹果，还剩几个？", "小明 有 3 个苹果 还剩几个"),
        ("naïve", "NAÏVE"),
    ],
)
def test_spelling_does_not_count(one, other):
    assert comparable_tokens(one) == comparable_tokens(other) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3+4-2", "3-4+2"),
        ("3/4", "3-4"),
        ("1.5", "15"),
        ("1,5", "15"),
        ("x = 2", "x < 2"),
        ("(1)*(2)", "(1)-(2)"),
    ],
)
def test_what_is_said_does(one, other):
    assert comparable_tokens(one) != comparable_tokens(other)


def test_words_numbers_signs_and_characters_are_tokens():
    assert comparable_tokens("What is 3+4.5-(2*5)?") == ["what", "is", "3", "+", "4.5", "-", "2", "*", "5"]
    assert comparable_tokens("求 x 的最大值 max") == ["求", "x", "的", "最", "大", "值", "max"]
    assert comparable_tokens("abc你好 日本語ですか") == [
        "abc",
        "你",
        "好",
        "日",
        "本",
        "語",
        "で",
        "す",
        "か",
    ]
    assert comparable_tokens(" ?! —") == []
