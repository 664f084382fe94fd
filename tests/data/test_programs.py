"""Program problems: references compute what they should, and the ways of writing them down pay as they are meant to."""

import random

import pytest

from dunwu.data.world.corpus import solution
from dunwu.data.world.problems import draw_problem, generate_problems, question_text
from dunwu.data.world.programs import ProgramProblem, draw_program, function_text, program_question
from dunwu.data.world.writing import SHARES, TEXTBOOK


def function(source):
    """The function that a line of ours defines."""
    names = {}
    exec(source, names)
    return names["f"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_references_pass_the_hidden_calls(language):
    problems = generate_problems(("program",), (language,), 200, 3, "train")
    assert {problem.grader for problem in problems} == {"code"}
    for problem in problems:
        f = function(problem.reference)
        assert [f(*call["args"]) for call in problem.metadata["calls"]] == [
            call["expected"] for call in problem.metadata["calls"]
        ]


def test_hidden_inputs_are_not_shown():
    rng = random.Random(0)
    for _ in range(300):
        problem = draw_program(rng)
        shown = {x for x, _ in problem.shown}
        hidden = [call["args"][0] for call in problem.task["calls"]]
        assert len(hidden) == 2
        assert not shown & set(hidden)
        assert all(0 <= value <= 99 for _, value in problem.shown)


def test_three_values_tell_a_line_from_a_square():
    square = ProgramProblem(None, 4, 5)
    line = ProgramProblem(3, 2, 5)
    assert [v for _, v in square.shown] == [5, 8, 29]
    assert [v for _, v in line.shown] == [5, 8, 17]


def test_texts():
    assert function_text(3, 2) == "def f(x): return 3*x+2"
    assert function_text(4, 0) == "def f(x): return 4*x"
    assert function_text(None, -3) == "def f(x): return x*x-3"
    problem = ProgramProblem(3, 2, 4)
    assert program_question(problem, "en", 0) == "Write f(x) in Python: f(1)=5, f(2)=8, f(4)=14."
    assert program_question(problem, "zh", 1) == "哪个Python函数满足f(1)=5，f(2)=8，f(4)=14？"


def share_right(style, shares, num=600):
    rng = random.Random(5)
    right = 0
    for _ in range(num):
        problem = draw_problem("program", rng, "train")
        right += solution(problem, style, "en", rng, shares)[1] == problem.answer
    return right / num


def test_checking_pays():
    assert share_right("careful", TEXTBOOK) == 1
    assert share_right("careful", SHARES) > 0.95
    assert 0.55 < share_right("short", SHARES) < 0.75  # the squares, and slips
    assert share_right("bare", SHARES) < 0.5


def test_a_failed_check_is_followed_by_another_try():
    rng = random.Random(1)
    problem = ProgramProblem(None, 4, 5)
    thinking, answer = solution(problem, "careful", "en", rng, TEXTBOOK)
    assert "8-5=3, try 3*x, 5-3=2." in thinking
    assert "3*5=15, 15+2=17, 17-29=-12, no." in thinking
    assert thinking.endswith("5*5=25, 25+4=29, 29-29=0, yes.")
    assert answer == problem.answer


def test_splits_and_wordings():
    train = {p.id for p in generate_problems(("program",), ("en",), 500, 1, "train")}
    held_out = {p.id for p in generate_problems(("program",), ("en",), 60, 1, "held_out")}
    assert not train & held_out
    problem = ProgramProblem(2, 1, 3)
    texts = {question_text(problem, language, variant) for language in ("en", "zh") for variant in (0, 1)}
    assert len(texts) == 4
