"""The language of a question, and of each word where languages mix."""

import subprocess
import sys

import pytest

from dunwu.data.languages import OTHER, WordLabeller, detect_language, identifier_languages, writes
from dunwu.errors import ConfigError
from dunwu.functional.words import words


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


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Quelle est la somme des trois premiers nombres premiers ?", "fr"),
        ("Calcula la suma de los primeros diez números naturales.", "es"),
        ("Berechnen Sie die Summe der ersten zehn natürlichen Zahlen.", "de"),
        ("Qual é a soma dos primeiros dez números naturais?", "pt"),
        ("Найдите сумму первых десяти натуральных чисел.", "ru"),
        ("Знайдіть суму перших десяти натуральних чисел.", "uk"),
        ("次の方程式を解きなさい。", "ja"),
        ("다음 방정식을 풀어라.", "ko"),
        ("أوجد مجموع الأعداد العشرة الأولى.", "ar"),
        ("Βρείτε το άθροισμα των αριθμών.", "el"),
        ("मान ज्ञात कीजिए जब यह संख्या दस है।", "hi"),
        ("จงหาผลรวมของจำนวน", "th"),
        # in Latin letters English stands unless another language is clearly ahead
        ("Compute gcd(12, 18) + lcm(4, 6).", "en"),
        ("Evaluate $\\int_0^1 x\\,dx$ and simplify.", "en"),
        ("Find n.", "en"),
        ("Factor polynomial integer coefficients modulo prime", "en"),
        ("Total salad tomato pasta cost", "en"),
        ("Combien ?", "en"),
        ("Is Pedro older than Juan, and does Maria know Jose?", "en"),
        ("John has 5 apples. Mary gives him 3. How many does he have now?", "en"),
    ],
)
def test_language_of_a_question(text: str, language: str) -> None:
    assert detect_language(text) == language


def labels(text: str, *languages: str) -> list[tuple[str, str]]:
    found = words(text)
    return [
        (word.text, label) for word, label in zip(found, WordLabeller(languages).label(found), strict=True)
    ]


def test_one_language_of_a_script_needs_no_library() -> None:
    code = """
import sys
from dunwu.data.languages import WordLabeller, detect_language
from dunwu.functional.words import words
print(WordLabeller(("en", "zh", "ja", "ko", "ru")).label(words("so 答案 は привет 문제")), detect_language("Find n"))
print("py3langid" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n")[:2] == ["['en', 'ja', 'ja', 'ru', 'ko'] en", "False"]


def test_words_of_no_language_in_question_are_others() -> None:
    assert labels("so привет 答案", "en", "zh") == [("so", "en"), ("привет", OTHER), ("答案", "zh")]
    assert labels("so 答案", "zh") == [("so", OTHER), ("答案", "zh")]
    assert labels("答案", "ja") == [("答案", "ja")]
    assert labels("彼女", "ja", "zh") == [("彼女", "zh")]  # py3langid alone would say ja


def test_a_clear_switch_is_found_and_a_short_word_goes_with_its_neighbours() -> None:
    text = "we know that the sum of the angles is constant. donc la somme est toujours égale à cette valeur"
    english = text.partition(".")[0].split()
    assert labels(text, "en", "fr") == [
        *((word, "en") for word in english),
        *((word, "fr") for word in ["donc", "la", "somme", "est", "toujours", "égale", "cette", "valeur"]),
    ]


def test_the_order_of_languages_does_not_matter() -> None:
    text = "wir sehen nun die Lösung, and so we are done with it, puis on recommence"
    assert labels(text, "en", "fr", "de") == labels(text, "de", "en", "fr", "en")


def test_known_languages() -> None:
    assert {"en", "fr", "de", "zh", "ja", "ru", "ar", "vi"} <= set(identifier_languages())
    assert "zxx" not in identifier_languages()
    assert writes("sr", "LATIN")
    assert writes("sr", "CYRILLIC")
    assert not writes("ru", "LATIN")
    assert writes("vi", "LATIN")
    with pytest.raises(ConfigError, match="'english' is not known"):
        WordLabeller(["english"])
