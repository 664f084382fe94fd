"""The embedded world: every reference is right, every wrong answer is refused, held-out problems never
appear in the corpus."""

import itertools
import random
import re

import pytest

from dunwu.data.world.corpus import KINDS, documents, solution, with_tags
from dunwu.data.world.problems import (
    OperatorsProblem,
    RemainderProblem,
    SumProblem,
    draw_problem,
    generate_problems,
    operators_value,
    score_operators,
    split_of,
)
from dunwu.data.world.writing import SHARES
from dunwu.errors import DataError
from dunwu.records import Problem

LANGUAGES = ("en", "zh")


def operators_problem(numbers: list[int], target: int) -> Problem:
    metadata = {"numbers": numbers, "target": target}
    return Problem("p", "operators", "q", "r", "operators", metadata=metadata)


def test_sum_works_from_left_to_right() -> None:
    problem = SumProblem((7, 15, 4, 8), ("+", "-", "+"))
    assert problem.expression == "7+15-4+8"
    assert problem.steps == [(7, "+", 15, 22), (22, "-", 4, 18), (18, "+", 8, 26)]
    assert problem.answer == "26"


def test_remainder_answer_is_the_smallest_that_fits() -> None:
    problem = RemainderProblem(large=7, large_remainder=2, small=4, small_remainder=1)
    assert problem.candidates == [2, 9, 16, 23]
    assert problem.answer == "9"
    assert all(x % 7 != 2 or x % 4 != 1 for x in range(9))


@pytest.mark.parametrize("ops", list(itertools.product("+-*", repeat=2)))
def test_operators_value_has_the_usual_precedence(ops: tuple[str, str]) -> None:
    for a, b, c in itertools.product((2, 5, 9), repeat=3):
        assert operators_value(a, ops[0], b, ops[1], c) == eval(f"{a}{ops[0]}{b}{ops[1]}{c}")


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("3*5+7", True),
        (" 3 * 5 + 7 ", True),
        ("3×5+7", True),
        ("3*5+7=22", True),
        ("3*5+7=23", False),
        ("3+5+7", False),
        ("7+3*5", False),  # the numbers in another order
        ("22", False),
        ("3*5+7+0", False),
        ("(3*5)+7", True),
        ("3*(5+7)", False),
        ("__import__('os')", False),
        ("3**5", False),
        ("3*5+7" + " " * 5 + "+0" * 10, False),
        ("", False),
        ("3*5+7;", False),
        ("True*3*5+7", False),
    ],
)
def test_score_operators(answer: str, right: bool) -> None:
    assert score_operators(answer, operators_problem([3, 5, 7], 22)) is right


def test_any_right_filling_counts() -> None:
    problem = OperatorsProblem((2, 2, 2), 6)
    fillings = [expression for expression, value in problem.candidates if value == 6]
    assert fillings == ["2+2+2", "2+2*2", "2*2+2"]
    assert all(score_operators(filling, operators_problem([2, 2, 2], 6)) for filling in fillings)


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_references_are_graded_right(split: str) -> None:
    for problem in generate_problems(KINDS, LANGUAGES, 300, 5, split):
        numbers = [int(n) for n in re.findall(r"\d+", problem.question)]
        if problem.kind == "operators":
            assert score_operators(problem.reference, problem)
        elif problem.kind == "remainder":
            x, (m, r, n, s) = int(problem.reference), numbers
            if problem.language == "en":  # "leaves r when divided by m and s when divided by n"
                r, m, s, n = numbers
            assert x % m == r
            assert x % n == s
            assert x < m * n
        else:
            expression = re.search(r"[\d+-]*\d", problem.question)
            assert expression is not None
            assert eval(expression.group()) == int(problem.reference)


def test_the_same_seed_gives_the_same_problems_and_another_gives_others() -> None:
    first = generate_problems(KINDS, LANGUAGES, 100, 1, "train")
    assert first == generate_problems(KINDS, LANGUAGES, 100, 1, "train")
    assert first != generate_problems(KINDS, LANGUAGES, 100, 2, "train")


def test_kinds_and_languages_are_balanced_and_all_different() -> None:
    problems = generate_problems(KINDS, LANGUAGES, 600, 1, "held_out")
    assert len({p.id for p in problems}) == 600
    assert len({p.question for p in problems}) == 600
    for kind, language in itertools.product(KINDS, LANGUAGES):
        assert sum(p.kind == kind and p.language == language for p in problems) == 100


def test_splits_share_no_problem_in_any_language() -> None:
    train = {p.id.rpartition("/")[0] for p in generate_problems(KINDS, LANGUAGES, 2000, 1, "train")}
    held_out = {p.id.rpartition("/")[0] for p in generate_problems(KINDS, LANGUAGES, 500, 2, "held_out")}
    assert not train & held_out


def test_too_many_problems_is_an_error() -> None:
    with pytest.raises(DataError, match="fewer than 400 different held_out problems"):
        generate_problems(("remainder",), ("en",), 400, 1, "held_out")


def test_the_corpus_holds_no_held_out_problem() -> None:
    held_out = {p.question for p in generate_problems(KINDS, LANGUAGES, 600, 9, "held_out")}
    for context, _ in itertools.islice(documents(3, "{question}"), 4000):
        assert context not in held_out
    rng = random.Random(0)
    assert all(split_of(draw_problem(kind, rng, "train")) == "train" for kind in KINDS for _ in range(50))


@pytest.mark.parametrize("kind", KINDS)
def test_care_pays(kind: str) -> None:
    """Careful work is right far more often than short work, and that more often than a bare answer."""
    rng = random.Random(1)
    right = {}
    for style in ("bare", "short", "careful"):
        scores = []
        for _ in range(400):
            problem = draw_problem(kind, rng, "train")
            answer = solution(problem, style, "en", rng, SHARES)[1]
            fillings = dict(problem.candidates) if isinstance(problem, OperatorsProblem) else {}
            scores.append(fillings[answer] == problem.target if fillings else answer == problem.answer)
        right[style] = sum(scores) / len(scores)
    assert right["careful"] > 0.85
    assert right["short"] < right["careful"] - 0.1
    assert right["bare"] < right["careful"] - 0.3


def test_tags_are_whole_when_never_broken_and_faulty_when_always() -> None:
    rng = random.Random(0)
    whole = re.compile(r" <think> .+ </think> <answer> .+ </answer>")
    assert all(whole.fullmatch(with_tags("2+2=4.", "4", rng, 0.0)) for _ in range(20))
    broken = [with_tags("2+2=4.", "4", rng, 1.0) for _ in range(50)]
    assert not any(whole.fullmatch(text) and text.count("<answer>") == 1 for text in broken)
