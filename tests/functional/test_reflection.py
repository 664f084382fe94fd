"""Reflection words: the paper's ten in any form and case, their Chinese counterparts, nothing else."""

import pytest

from dunwu.functional.reflection import CHINESE, ENGLISH, checks_itself, reflection_words


def test_the_list_is_the_papers() -> None:
    assert set(ENGLISH) == {
        "wait", "mistake", "however", "but", "retry", "error", "verify", "wrong", "evaluate", "check"
    }  # fmt: skip


def test_words_are_counted_with_their_forms() -> None:
    counts = reflection_words(
        "Wait. wait, that is a mistake. I checked; checking again: errors. 等等，不对。"
    )
    assert counts == {"wait": 2, "mistake": 1, "check": 2, "error": 1, "等等": 1, "不对": 1}


@pytest.mark.parametrize(
    "text", ["", "a button", "await the result", "checkers", "waiter", "the sum is 4", "对"]
)
def test_other_words_are_not_reflection(text: str) -> None:
    assert not checks_itself(text)


@pytest.mark.parametrize("word", [*ENGLISH, *CHINESE])
def test_each_word_alone_counts(word: str) -> None:
    assert checks_itself(f"x {word} y")
