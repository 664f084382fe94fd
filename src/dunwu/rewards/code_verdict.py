"""What became of one test, and what is said about it. Runs nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from dunwu.sandbox.records import Execution

Verdict = Literal["AC", "WA", "TLE", "MLE", "OLE", "RE", "CE"]
"""Accepted, wrong answer, time limit, memory limit, output limit, runtime error, compile error."""

_ERROR = re.compile(r"[\w.]*(?:Error|Exception)\b|terminate called")
_OUT_OF_MEMORY = ("MemoryError", "std::bad_alloc", "JavaScript heap out of memory", "Cannot allocate memory")


class JudgingError(Exception):
    """The answer could not be judged, and not because of the answer."""


class NotGradableError(Exception):
    """The task's own tests cannot judge any answer."""


@dataclass(frozen=True)
class TestResult:
    """One test's verdict. `seen` holds what was given, expected and got, whole; `detail` a reason in words."""

    __test__ = False  # not a test class of pytest's

    verdict: Verdict
    detail: str = ""
    seen: dict[str, str] = field(default_factory=dict)


def failed_run(execution: Execution) -> TestResult | None:
    """Return the verdict on a run that did not end well; None for one that exited with 0.

    Raises:
        JudgingError: the sandbox did not run the program.
    """
    errors = execution.stderr.decode(errors="replace").strip()
    last = _reason(errors)
    match execution.outcome:
        case "time":
            return TestResult("TLE", execution.detail or "it ran out of time")
        case "memory":
            return TestResult("MLE", execution.detail or "it ran out of memory")
        case "output":
            return TestResult("OLE", execution.detail or "it printed too much")
        case "refused":
            raise JudgingError(f"the sandbox did not run the program: {execution.detail}")
        case "signalled":
            return _ran_wrong(f"killed by signal {execution.signal}", errors)
        case "exited" if execution.exit_code != 0:
            return _ran_wrong(f"exit code {execution.exit_code}{': ' + last if last else ''}", errors)
    return None


def _reason(errors: str) -> str:
    """The last line of what a program wrote to stderr that names an error, else its last line."""
    lines = errors[-5000:].split("\n")
    return next((line for line in reversed(lines) if _ERROR.match(line)), lines[-1]).strip()


def _ran_wrong(detail: str, errors: str) -> TestResult:
    tail = errors[-2000:]
    return TestResult("MLE" if any(sign in tail for sign in _OUT_OF_MEMORY) else "RE", detail)


def describe(results: Sequence[TestResult], num_tests: int, max_chars: int) -> str:
    """Return what is said about an answer: how many tests it passed, and the first one it did not, with what was
    seen."""
    passed = sum(result.verdict == "AC" for result in results)
    head = f"{passed} of {num_tests} tests passed"
    for number, result in enumerate(results, start=1):
        if result.verdict != "AC":
            seen = "".join(f"; {name} {shorten(text, max_chars)}" for name, text in result.seen.items())
            why = f" ({shorten(result.detail, max_chars, quote=False)})" if result.detail else ""
            return f"{result.verdict}: {head}; test {number}{why}{seen}"
    return f"AC: {head}"


def shorten(text: str, max_chars: int, *, quote: bool = True) -> str:
    """Return a text, its middle left out where it is too long."""
    if len(text) > max_chars:
        half = (max_chars - 5) // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return repr(text) if quote else text.replace("\n", " ")
