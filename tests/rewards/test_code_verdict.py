"""From how a program ended to its verdict and what is said about it."""

import pytest

from dunwu.rewards.code_verdict import JudgingError, TestResult, describe, failed_run, shorten
from dunwu.sandbox.records import Execution


def ended(outcome, exit_code=None, signal=None, stderr="", detail=""):
    return Execution(outcome, exit_code, signal, b"", stderr.encode(), 1.0, 1.0, None, detail)


@pytest.mark.parametrize(
    ("execution", "verdict", "detail"),
    [
        (ended("time", detail="stopped at 5 s"), "TLE", "stopped at 5 s"),
        (ended("time"), "TLE", "it ran out of time"),
        (ended("memory"), "MLE", "it ran out of memory"),
        (ended("output"), "OLE", "it printed too much"),
        (ended("signalled", signal=11), "RE", "killed by signal 11"),
        (
            ended("signalled", signal=6, stderr="terminate called\n what(): std::bad_alloc"),
            "MLE",
            "killed by signal 6",
        ),
        (ended("exited", 3), "RE", "exit code 3"),
        (ended("exited", 1, stderr="Traceback\n  x\nValueError: no\n"), "RE", "exit code 1: ValueError: no"),
        (ended("exited", 1, stderr="Traceback\nMemoryError\n"), "MLE", "exit code 1: MemoryError"),
        (
            ended("exited", 1, stderr="main.js:1\nTypeError: x\n\nNode.js v20\n"),
            "RE",
            "exit code 1: TypeError: x",
        ),
        (ended("exited", 1, stderr="something\nelse"), "RE", "exit code 1: else"),
    ],
)
def test_runs_that_did_not_end_well(execution, verdict, detail):
    assert failed_run(execution) == TestResult(verdict, detail)


def test_a_run_that_ended_well_has_no_verdict_yet_and_one_that_was_not_made_has_none():
    assert failed_run(ended("exited", 0, stderr="MemoryError")) is None
    with pytest.raises(JudgingError, match="the sandbox did not run the program: no such program"):
        failed_run(ended("refused", detail="no such program"))


def test_what_is_said():
    right = TestResult("AC")
    wrong = TestResult("WA", "token 1\nmore", {"input": "1\n", "got": "x" * 100})
    assert describe([right, right], 2, 40) == "AC: 2 of 2 tests passed"
    assert describe([right, wrong], 5, 40) == (
        f"WA: 1 of 5 tests passed; test 2 (token 1 more); input '1\\n'; got '{'x' * 17} ... {'x' * 17}'"
    )
    assert describe([TestResult("CE")], 3, 40) == "CE: 0 of 3 tests passed; test 1"


def test_shortened_texts_keep_both_ends():
    assert shorten("abc", 20) == "'abc'"
    assert shorten("a" * 50 + "b" * 50, 25) == f"'{'a' * 10} ... {'b' * 10}'"
    assert shorten("a\nb", 20, quote=False) == "a b"
