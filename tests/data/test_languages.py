import pytest

from dunwu.data.languages import detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is 3 + 4?", "en"),
        ("3 + 4 等于多少？", "zh"),
        ("求 $f(x)=\\sin x + \\text{const}$ 的最小值", "zh"),
        ("已知 \\triangle ABC 中 AB = 3", "zh"),
        ("Translate 你好 into English, please, and explain how you did it", "en"),
        ("Xiao Ming says 你好吗朋友", "zh"),
        ("3 + 4 = ?", "en"),
        ("", "en"),
    ],
)
def test_language_by_the_share_of_chinese_characters(text: str, language: str) -> None:
    assert detect_language(text) == language
