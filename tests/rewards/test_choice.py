"""Multiple choice: one answer names one option, however it is written."""

import random
import time
from typing import Any

import pytest

from dunwu.records import Problem
from dunwu.rewards.choice import choice_fault, chosen, judge_choice, options_of

COLOURS = {"A": "red", "B": "green", "C": "blue", "D": "a cat"}
NUMBERS = {"A": "1/2", "B": "0.25", "C": "3", "D": r"\frac{3}{4}"}


def make(reference: str, options: Any) -> Problem:
    return Problem("p", "k", "Which?", reference, "choice", metadata={"options": options})


@pytest.mark.parametrize(
    "answer",
    [
        *("B", "b", "(B)", "(b)", "B.", "B)", "[B]", "<B>", "Ｂ", "（Ｂ）", "$B$", "**B**", "`B`"),
        *(
            r"$\text{B}$",
            r"\boxed{\text{B}}",
            r"\boxed{B}",
            r"$\mathbf{B}$",
            r"\textbf{(B)}",
            r"\textbf{(B)}\ green",
        ),
        *(
            "Answer: B",
            "The answer is B.",
            "The correct answer is (B).",
            "The correct option is B",
            "**Answer:** B",
        ),
        *(
            "Option B is correct",
            "Choice (B)",
            "I choose B",
            "I think the answer is B.",
            "It is B",
            "the answer's B",
        ),
        *("**B. green**", "B) green", "B: green", "B green", "B、green", "The answer is: (B) green"),
        *("green", "Green.", "the answer is green", '"green"', r"\boxed{\text{green}}"),
        *(
            "选B",
            "故选：B。",
            "答案是B",
            "答案选B",
            "选（Ｂ）",
            "选项B",
            "应选B项",
            "答案：B",
            "正确答案为 B",
        ),
        *(
            "B, because grass is green",
            "First, A is wrong.\nSo the answer is B.",
            "A is wrong, the answer is B",
        ),
        *("It is not red.\nAnswer: B", "Not A, so the answer is B", "So it cannot be A.\nThe answer is B"),
        "Maybe A.\nNo: \\boxed{A}.\nFinal: \\boxed{B}",
    ],
)
def test_ways_to_name_b(answer: str) -> None:
    assert chosen(answer, COLOURS) == "B"


@pytest.mark.parametrize(
    "answer",
    [
        *("", "E", "yellow", "I do not know", "all of the above", "none"),
        *(
            "A or B",
            "A, B",
            "A and B",
            "(A)(B)",
            "AB",
            "ABCD",
            "选AB",
            "B or C",
            "either A or B",
            "red or green",
        ),
        *("The answer is either A or B", "Either B or A works", "I would say A or maybe B", r"\boxed{A, B}"),
        *("Banana", "CAB", "Because", "B2", "vitamin B12", "B-side", "bB"),
        *(
            "not B",
            "The answer is not B",
            "it isn't B",
            "B is wrong",
            "B is not correct",
            "B不对",
            "不选B",
            "答案不是B",
        ),
        *("B. red", "A. green", "(C) a cat"),
    ],
)
def test_what_names_no_single_option(answer: str) -> None:
    assert chosen(answer, COLOURS) is None


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("A", "A"),
        ("a cat", "D"),
        ("A cat", "D"),
        ("D. a cat", "D"),
        ("A. red", "A"),
        ("It has a tail, so D", "D"),
    ],
)
def test_an_article_is_no_label_where_an_option_says_so(answer: str, label: str) -> None:
    assert chosen(answer, COLOURS) == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("0.5", "A"), (r"\frac{1}{2}", "A"), ("1/4", "B"), ("3", "C"), ("$\\frac{3}{4}$", "D"), ("0.75", "D"),
        ("C. 3", "C"), ("(D) 3/4", "D"), ("C. 0.25", None), ("2", None), ("13", None),
    ],
)  # fmt: skip
def test_numbers_as_options_are_known_in_other_spelling(answer: str, label: str | None) -> None:
    assert chosen(answer, NUMBERS) == label


def test_two_options_with_the_same_text_are_named_by_letter_only() -> None:
    options = {"A": "same", "B": "same", "C": "other"}
    assert chosen("same", options) is None
    assert chosen("B", options) == "B"


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("J", "J"),
        ("the answer is I.", "I"),
        ("I think B", "B"),
        ("I am not sure", None),
        ("K", None),
        ("选A", "A"),
    ],
)
def test_without_listed_options_letters_to_j_count(answer: str, label: str | None) -> None:
    options = options_of(Problem("p", "k", "q", "A", "choice"))
    assert isinstance(options, dict)
    assert chosen(answer, options) == label


@pytest.mark.parametrize("size", [4, 5, 8])
def test_lists_mappings_and_shuffled_letters_mean_the_same_option(size: int) -> None:
    texts = [
        f"option number {word}" for word in ("nil", "uno", "due", "tre", "quattro", "cinque", "sei", "sette")
    ]
    order = list(range(size))
    random.Random(size).shuffle(order)
    listed = [texts[i] for i in order]
    mapped = {"ABCDEFGH"[place]: text for place, text in enumerate(listed)}
    shuffled = dict(reversed(mapped.items()))
    wanted = "ABCDEFGH"[order.index(2)]
    for options in (listed, mapped, shuffled):
        for reference in (wanted, f"({wanted})", texts[2]):
            problem = make(reference, options)
            assert choice_fault(problem) is None
            assert judge_choice(f"The answer is {wanted}", problem) == (True, f"names {wanted}")
            assert judge_choice(texts[2], problem)[0] is True
            for label in "ABCDEFGH"[:size].replace(wanted, ""):
                assert judge_choice(label, problem) == (False, f"names {label}")
            assert judge_choice("ABCDEFGHI"[size], problem) == (False, "no single option is named")


def test_labels_may_be_digits() -> None:
    problem = make("2", {"1": "red", "2": "green", "3": "blue"})
    assert judge_choice("(2)", problem)[0] is True
    assert judge_choice("1 or 2", problem)[0] is False
    assert judge_choice("12", problem)[0] is False


@pytest.mark.parametrize(
    ("reference", "options", "fault"),
    [
        ("E", ["a1", "b1", "c1", "d1"], "'E' names none of the options A, B, C, D"),
        ("A or B", ["a1", "b1"], "names none"),
        ("", ["a1", "b1"], "names none"),
        ("A", ["a1"], "there are 1 options"),
        ("A", [str(n) for n in range(27)], "there are 27 options"),
        ("A", "red, green", "must be a list"),
        ("A", {"A": "x", "BB": "y"}, "each must be one letter"),
        ("A", {"A": "x", "a": "y"}, "each must be one letter"),
        ("A", [["x"], ["y"]], "neither text nor a number"),
        ("A", None, None),
        ("A", [1, 2.5], None),
    ],
)
def test_faults_of_options_and_references(reference: str, options: Any, fault: str | None) -> None:
    problem = make(reference, options)
    found = choice_fault(problem)
    assert found is None if fault is None else fault in str(found)
    if fault is not None:
        with pytest.raises(ValueError, match=r"option|reference"):
            judge_choice("A", problem)


@pytest.mark.parametrize("piece", ["A ", "(", "answer is ", "选", "$", "\\text{", "not ", "\n", "A or "])
def test_time_is_linear_in_hostile_text(piece: str) -> None:
    start = time.process_time()
    chosen(piece * (10_000 // len(piece)), COLOURS)
    assert time.process_time() - start < 1.0
