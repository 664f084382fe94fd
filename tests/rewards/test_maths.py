"""The maths grader: references that cannot be graded, answers written to break it, votes. Pairs: the corpus."""

import time
from collections.abc import Callable

import pytest

from dunwu.records import Problem, Reward
from dunwu.rewards.bounded import MAX_ANSWER_CHARS
from dunwu.rewards.grading import Grader
from dunwu.rewards.maths import canonical_answer, reference_text

UNGRADABLE = [
    "",
    "  ",
    r"\frac{",
    "}{",
    "1/0",
    "see the figure above for 3 reasons and 4 cases",
    "a proof by induction.",
]
HOSTILE = [
    "9^{9^{9^{9}}}",
    "9**9**9**9",
    "{" * 1000 + "1" + "}" * 1000,
    "(" * 1000 + "1" + ")" * 1000,
    "9" * 9000 + "+1",
    "1" * 100_000,
    "x+" * 4000 + "1",
    r"\sqrt{" * 200,
    r"\prod_{i=1}^{100000000} i",
    "$" * 5000,
]


def grade(grader: Grader, problem: Problem, answer: str) -> Reward:
    return grader.grade(problem, f"<think>t</think><answer>{answer}</answer>")


@pytest.mark.parametrize("reference", UNGRADABLE)
@pytest.mark.parametrize("answer", ["5", r"\frac{", "1/0", "a proof by induction."])
def test_bad_reference_is_never_rewarded(
    grader: Grader, problem: Callable[..., Problem], reference: str, answer: str
) -> None:
    reward = grade(grader, problem(reference), answer)
    part = reward.parts["accuracy"]
    assert (part.value, part.status, reward.total) == (None, "not_gradable", None)
    assert part.detail


def test_hostile_answers_are_wrong_and_end_within_their_limit(
    strict_grader: Grader, problem: Callable[..., Problem]
) -> None:
    start = time.monotonic()
    items = [(problem("8"), f"<answer>{answer}</answer>", "stop") for answer in HOSTILE]
    parts = [reward.parts["accuracy"] for reward in strict_grader.grade_all(items)]
    assert [(part.value, part.status) for part in parts] == [(0.0, "ok")] * len(HOSTILE)
    assert time.monotonic() - start < 10 * len(HOSTILE)  # 0.3 s of processor time and a new process for each


def test_time_limit_and_length_limit_are_named(
    strict_grader: Grader, problem: Callable[..., Problem]
) -> None:
    detail = grade(strict_grader, problem("8"), "9^{9^{9^{9}}}").parts["accuracy"].detail
    assert "more than 0.3 s of processor time" in detail
    grader = strict_grader
    detail = grade(grader, problem("8"), "1" * (MAX_ANSWER_CHARS + 1)).parts["accuracy"].detail
    assert f"{MAX_ANSWER_CHARS + 1} characters" in detail


def test_a_repeated_hostile_answer_costs_nothing(
    strict_grader: Grader, problem: Callable[..., Problem]
) -> None:
    grade(strict_grader, problem("8"), "9^{9^{9^{9}}}")
    start = time.monotonic()
    for _ in range(20):
        grade(strict_grader, problem("8"), "9^{9^{9^{9}}}")
    assert time.monotonic() - start < 0.5


def test_hostile_reference_is_not_gradable(strict_grader: Grader, problem: Callable[..., Problem]) -> None:
    part = grade(strict_grader, problem("(" * 500 + "x+1" + ")" * 500), "x+1").parts["accuracy"]
    assert part.status == "not_gradable"
    assert "more than 0.3 s of processor time" in part.detail


def test_reference_text_of_worked_solutions() -> None:
    assert reference_text("3+4=7\n#### 7") == "7"
    assert reference_text(r"so \boxed{\frac{1}{2}} holds") == r"\frac{1}{2}"
    assert reference_text(" 5 ") == "5"


@pytest.mark.parametrize(
    ("answers", "key"),
    [
        (["0.5", "1/2", r"\frac{1}{2}", r"$\dfrac12$", "x = 0.5"], "1/2"),
        (["5 cm", "5", "5.0", "５"], "5"),
        (["Monday", r"\text{monday}"], "monday"),
        (["x + 1", "x+1", "$x+1$"], "x+1"),
    ],
)
def test_votes_count_spellings_of_one_answer_together(answers: list[str], key: str) -> None:
    assert {canonical_answer(answer) for answer in answers} == {key}
