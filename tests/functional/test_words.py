"""What a word is, in which script, and what is taken for a name."""

import pytest

from dunwu.functional.words import Word, words


def spelled(text: str) -> list[tuple[str, str, int]]:
    return [(word.text, word.script, word.num_words) for word in words(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("3 + 4 = 7", []),
        ("so it is", [("so", "LATIN", 1), ("it", "LATIN", 1), ("is", "LATIN", 1)]),
        ("let x be a root", [("let", "LATIN", 1), ("be", "LATIN", 1), ("root", "LATIN", 1)]),
        ("don't re-check", [("don't", "LATIN", 1), ("re-check", "LATIN", 1)]),
        ("三角形", [("三角形", "CJK", 3)]),
        ("我用算法写", [("我用算法写", "CJK", 5)]),
        ("用python写", [("用", "CJK", 1), ("python", "LATIN", 1), ("写", "CJK", 1)]),
        ("привет мир", [("привет", "CYRILLIC", 1), ("мир", "CYRILLIC", 1)]),
        ("문제를 풀자", [("문제를", "HANGUL", 1), ("풀자", "HANGUL", 1)]),
        ("ความคิด", [("ความคิด", "THAI", 6)]),
        ("हिन्दी में", [("हिन्दी", "DEVANAGARI", 1), ("में", "DEVANAGARI", 1)]),
        ("εξίσωση", [("εξίσωση", "GREEK", 1)]),
        ("α + β", []),
        ("naïve café", [("naïve", "LATIN", 1), ("café", "LATIN", 1)]),
        ("ＯＫ then", [("then", "LATIN", 1)]),
    ],
)
def test_words_of_every_script(text: str, found: list[tuple[str, str, int]]) -> None:
    assert spelled(text) == found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("then Euler proved it", ["Euler"]),
        ("Euler proved it", []),
        ("Leonhard Euler proved it", ["Leonhard", "Euler"]),
        ("by John Q. Smith there", ["John", "Smith"]),
        ("it holds. Wait, no", []),
        ("it holds.\n\n**Step**: so", []),
        ("1) Find it", []),
        ("由柯西，Cauchy 不等式", ["Cauchy"]),
        ("Cauchy-Schwarz 不等式", []),
        ("由 Cauchy-Schwarz 不等式", ["Cauchy-Schwarz"]),
        ("and then I'll go", []),
        ("so Let Me Think Again Now then", []),
        ("so Let Me Think Again then", ["Let", "Me", "Think", "Again"]),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    assert [word.text for word in words(text) if word.is_name] == names


def test_acronyms_are_no_words_but_shouting_is() -> None:
    assert [w.text for w in words("the DNA of AM-GM and RSA keys")] == ["the", "of", "and", "keys"]
    assert words("WAIT LET ME THINK") == [
        Word(w, "LATIN", 1, 0, False) for w in ("WAIT", "LET", "ME", "THINK")
    ]
    assert [w.text for w in words("see NOTATION there")] == ["see", "NOTATION", "there"]


def test_sentences_are_counted_and_decimal_points_end_none() -> None:
    assert [(w.text, w.sentence) for w in words("one is 3.5 apples. two! 三；四\nfive")] == [
        ("one", 0), ("is", 0), ("apples", 0), ("two", 1), ("三", 2), ("四", 3), ("five", 4)
    ]  # fmt: skip


def test_chinese_characters_of_japanese_sentences_are_japanese() -> None:
    assert spelled("方程式を解く。解方程") == [
        ("方程式", "JAPANESE", 3),
        ("を", "JAPANESE", 1),
        ("解", "JAPANESE", 1),
        ("く", "JAPANESE", 1),
        ("解方程", "CJK", 3),
    ]
    assert ("表示所属关系", "CJK", 6) in spelled("日文的の表示所属关系")
    assert spelled("データ") == [("データ", "JAPANESE", 3)]
