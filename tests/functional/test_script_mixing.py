"""Completions in the other script than their question's."""

import pytest

from dunwu.functional.script_mixing import off_language

ENGLISH = "First add sixteen and three, which makes nineteen, then take away fifteen."
CHINESE = "先把十六和三加起来，得到十九，然后减去十五。"


@pytest.mark.parametrize(
    ("text", "language", "off"),
    [
        (ENGLISH, "en", False),
        (CHINESE, "zh", False),
        (CHINESE, "en", True),
        (ENGLISH, "zh", True),
        (ENGLISH + " 所以答案是四", "en", True),
        (CHINESE + " Gauss 的方法", "zh", False),
        (r"<think> 先算 \frac{1}{2} \cdot \sqrt{3} 再加 \alpha 得到结果是多少呢 </think>", "zh", False),
        (CHINESE, "fr", True),
        ("1 + 2 = 3", "en", None),
        (ENGLISH, "th", None),
    ],
)
def test_off_language(text: str, language: str, off: bool | None) -> None:
    assert off_language(text, language) is off
