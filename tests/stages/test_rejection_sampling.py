"""The judge's verdicts, and what becomes of candidates by them."""

from types import SimpleNamespace

import pytest

from dunwu.records import Problem
from dunwu.rollout.asking import Answer
from dunwu.runs.progress import QuietProgress
from dunwu.stages.candidates import Candidate
from dunwu.stages.rejection_sampling import judge, parse_verdict

CONTEXT = SimpleNamespace(progress=QuietProgress())


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"analysis": "same", "correctness": "correct"}', "correct"),
        ('Sure:\n```json\n{"analysis": "a {b}", "correctness": "Incorrect"}\n```', "incorrect"),
        (
            '{"analysis": "x", "correctness": "correct"} no: {"analysis": "y", "correctness": "incorrect"}',
            "incorrect",
        ),
        ('{"analysis": "a", "correctness": "maybe"}', None),
        ('{"correctness": "correct"}', None),
        ("correct", None),
        ('{"analysis": "cut off", "correct', None),
        ("{" * 3000, None),
        ("", None),
    ],
)
def test_verdicts(reply, expected):
    assert parse_verdict(reply) == expected


class Judge:
    def __init__(self, *answers):
        self.answers, self.questions = list(answers), []

    def ask(self, questions, on_progress=None):
        self.questions += questions
        return self.answers


def candidate(sample, grader="text", *, correct=False):
    problem = Problem("p", "fact", "Who wrote it?", "Ann {answer}", grader, "en")
    return Candidate(problem, sample, "I recall.", f"By Ann, {sample}.", "", correct)


def test_only_what_no_rule_accepted_is_judged_and_each_end_is_named():
    given = [
        candidate(0),
        candidate(1, correct=True),
        candidate(2, "numeric"),
        candidate(3),
        candidate(4),
        candidate(5),
        candidate(6).without("cut"),
    ]
    asked = Judge(
        Answer('{"analysis": "", "correctness": "correct"}'),
        Answer('{"analysis": "", "correctness": "incorrect"}'),
        Answer("I like it"),
        Answer("I was sayi", "cut"),
    )
    found = judge(given, asked, frozenset({"text"}), CONTEXT)
    expected = [None, None, None, "judged_incorrect", "judge_unparseable", "judge_cut", "cut"]
    assert [c.dropped for c in found] == expected
    assert [c.graded_by for c in found][:3] == ["judge", "rule", "rule"]
    assert "Ann {answer}\n\n## Answer\n\nBy Ann, 0.\n" in asked.questions[0]
