"""The same text letter by letter, and the same words in other spelling."""

from typing import Any

import pytest

from dunwu.records import Problem
from dunwu.rewards.exact import accepted_references, exact_match, text_fault, text_key, text_match


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("Paris", "Paris", True),
        ("  Paris\n", "Paris", True),
        ("New  York", "New York", True),
        ("Ｐａｒｉｓ", "Paris", True),
        ("Pa\u200bris", "Paris", True),
        (" New\n York ", "New York", True),
        ("ＡＢＣ　１２", "ABC 12", True),
        ("caf\u0065\u0301", "caf\u00e9", True),
        ("5\u200b", "5", True),
        ("10²", "102", False),
        ("5.0", "5", False),
        ("", "x", False),
        ("paris", "Paris", False),
        ("Paris.", "Paris", False),
        ("Paris, France", "Paris", False),
        ("", "Paris", False),
    ],
)
def test_exact_match_ignores_spacing_and_encoding_only(answer: str, reference: str, same: bool) -> None:
    assert exact_match(answer, reference) is same


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("The Eiffel Tower", "eiffel tower"), ("U.S.", "US"), ("u.s.a", "USA"), ("well-known", "well known"),
        ("Beyoncé", "Beyonce\u0301"), ("ﬁsh", "fish"), ("O'Brien", "OBrien"), ('"Paris"', "Paris"),
        ("Ｐａｒｉｓ", "paris"), ("Paris\u200b", "Paris"), ("北 京", "北京"), ("北京。", "北京"), ("the", "the"),
        ("The answer is Paris.", "Paris"), ("**Answer:** Paris", "Paris"), ("答案是北京", "北京"),
        ("I think so.\nThe answer is Paris", "Paris"), (r"\boxed{Paris}", "Paris"), (r"\boxed{\text{Paris}}", "Paris"),
        ("an apple", "the apple"), ("3.14", "3.14"), ("C++", "c++"),
    ],
)  # fmt: skip
def test_text_match_sees_through_spelling(answer: str, reference: str) -> None:
    assert text_match(answer, reference)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("314", "3.14"), ("12", "1/2"), ("5", "-5"), ("C", "C++"), ("C", "C#"), ("50", "50%"), ("5", "$5"),
        ("1,000", "1000"), ("Paris or London", "Paris"), ("Not Paris", "Paris"), ("Paris, France", "Paris"),
        ("", "the"), ("a", "the"), ("Rome", "Paris"), ("The answer is Paris.\nThe answer is Rome.", "Paris"),
        ("The Paris answer is", "Paris"), ("Romeparis", "paris"),
    ],
)  # fmt: skip
def test_text_match_keeps_what_carries_meaning(answer: str, reference: str) -> None:
    assert not text_match(answer, reference)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("A, the B!", "b"),
        ("...", "..."),
        ("The The", "the the"),
        ("Well—known", "well known"),
        ("1:30 pm", "1:30 pm"),
    ],
)
def test_text_key(text: str, key: str) -> None:
    assert text_key(text) == key


def make(reference: str, references: Any = None) -> Problem:
    metadata = {} if references is None else {"references": references}
    return Problem("p", "k", "q", reference, "text", metadata=metadata)


def test_several_references_are_accepted() -> None:
    assert accepted_references(make("Paris", ["London", " ", 7])) == ("Paris", "London", "7")
    assert accepted_references(make("", ["London"])) == ("London",)


@pytest.mark.parametrize(
    ("reference", "references", "fault"),
    [
        ("Paris", None, None), ("", ["x"], None), ("", None, "empty"), (" \u200b", [], "empty"),
        ("Paris", "London", "must be a list"), ("Paris", [["x"]], "must be a list"),
    ],
)  # fmt: skip
def test_faults_of_references(reference: str, references: Any, fault: str | None) -> None:
    found = text_fault(make(reference, references))
    assert found is None if fault is None else fault in str(found)
