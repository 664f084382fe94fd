"""Runs a solution on one test in the sandbox and compares outside of it: printed output, and calls of functions."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any
from weakref import WeakKeyDictionary

from dunwu.config.code import CodeComparison
from dunwu.rewards import code_call
from dunwu.rewards.code_compare import first_difference, same_output, same_value
from dunwu.rewards.code_task import CallTest, Language, PrintTest
from dunwu.rewards.code_verdict import JudgingError, TestResult, failed_run
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Command, Execution, Limits

_COMPILER = ("g++", "-std=c++20", "-O2", "-o", "main", "main.cpp")
_JAVASCRIPT = ("node", "--stack-size=32000", "main.js")
_CHECK_PYTHON = "import sys\ncompile(sys.stdin.buffer.read(), 'main.py', 'exec')\n"
INSTALL: Mapping[Language, str] = {
    "python": "Python 3",
    "cpp": "g++ (Debian, Ubuntu: apt install g++)",
    "javascript": "node (Debian, Ubuntu: apt install nodejs)",
}

_tool_faults: WeakKeyDictionary[Executor, dict[Language, str | None]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Program:
    """A solution that is ready to be run: its source, or what was compiled from it."""

    language: Language
    source: str
    binary: bytes | None = None

    def run(self, stdin: bytes, executor: Executor, limits: Limits) -> Execution:
        """Run it once on an input."""
        match self.language:
            case "python":
                return executor.run_python(self.source, stdin, {}, limits)
            case "javascript":
                files = {"main.js": self.source.encode()}
                return executor.run(Command(_JAVASCRIPT, stdin=stdin, files=files), limits)
            case "cpp":
                assert self.binary is not None, "a C++ program is compiled before it is run"
                return executor.run(Command(("./main",), stdin=stdin, files={"main": self.binary}), limits)


def compile_program(
    source: str, language: Language, executor: Executor, limits: Limits
) -> Program | TestResult:
    """Return the program ready to run, or the verdict CE. Only C++ is compiled to a file.

    Raises:
        JudgingError: the sandbox failed, or the compiler is not there.
    """
    match language:
        case "python":
            execution = executor.run_python(_CHECK_PYTHON, source.encode(), {}, limits)
        case "javascript":
            execution = executor.run(
                Command(("node", "--check", "main.js"), files={"main.js": source.encode()}), limits
            )
        case "cpp":
            command = Command(_COMPILER, files={"main.cpp": source.encode()})
            execution, outputs = executor.compile(command, limits, ("main",))
            if execution.outcome == "exited" and execution.exit_code == 0 and "main" in outputs:
                return Program(language, source, outputs["main"])
    _require_tool(execution, language)
    failed = failed_run(execution)
    if failed is None and language != "cpp":
        return Program(language, source)
    errors = execution.stderr.decode(errors="replace").strip()
    return TestResult(
        "CE", _first_error(errors) if errors else (failed.detail if failed else "nothing was made")
    )


def tool_fault(language: Language, executor: Executor, limits: Limits) -> str | None:
    """Return what has to be installed to judge a language in this sandbox, None if nothing; looked up once."""
    known = _tool_faults.setdefault(executor, {})
    if language not in known:
        tool = {"python": "python3", "cpp": "g++", "javascript": "node"}[language]
        execution = executor.run(Command((tool, "--version")), limits)
        found = execution.outcome == "exited" and execution.exit_code == 0
        why = execution.detail or f"{tool} does not run"
        known[language] = None if found else f"{language} needs {INSTALL[language]} in the sandbox: {why}"
    return known[language]


def run_print_test(
    program: Program,
    test: PrintTest,
    executor: Executor,
    limits: Limits,
    how: CodeComparison,
    tolerance: float | None,
) -> TestResult:
    """Run a program on a test's input and compare what it printed."""
    got = printed(program, test, executor, limits)
    if isinstance(got, TestResult):
        return got
    seen = {"input": test.stdin, "expected": test.stdout, "got": got}
    if same_output(got, test.stdout, how, tolerance):
        return TestResult("AC", seen=seen)
    return TestResult("WA", first_difference(got, test.stdout), seen)


def printed(program: Program, test: PrintTest, executor: Executor, limits: Limits) -> str | TestResult:
    """Return what a program prints on a test's input, or the verdict on a run that did not end well."""
    execution = program.run(test.stdin.encode(), executor, limits)
    _require_tool(execution, program.language)
    got = execution.stdout.decode(errors="replace")
    failed = failed_run(execution)
    if failed is None:
        return got
    return TestResult(
        failed.verdict, failed.detail, {"input": test.stdin, "expected": test.stdout, "got": got}
    )


@lru_cache(maxsize=1)
def _call_source() -> str:
    return inspect.getsource(code_call) + "\nmain()\n"


def run_call_test(
    source: str,
    language: Language,
    test: CallTest,
    executor: Executor,
    limits: Limits,
    tolerance: float | None,
) -> TestResult:
    """Call a function of the solution in the sandbox and compare the JSON data that comes out with the expected."""
    request = {"function": test.function, "args": list(test.args), "kwargs": test.kwargs}
    if language == "python":
        stdin = json.dumps({**request, "solution": source}).encode()
        execution = executor.run_python(_call_source(), stdin, {}, limits)
    else:
        files = {"main.js": (source + "\n" + _javascript_caller(test.function)).encode()}
        execution = executor.run(
            Command(_JAVASCRIPT, stdin=json.dumps(request).encode(), files=files), limits
        )
    _require_tool(execution, language)
    seen = {"input": _call_text(test), "expected": json.dumps(test.expected, ensure_ascii=False)}
    failed = failed_run(execution)
    if failed is not None:
        return TestResult(failed.verdict, failed.detail, seen)
    match _reply(execution.stdout):
        case {"syntax": fault}:
            return TestResult("CE", str(fault))
        case {"raised": why}:
            return TestResult("MLE" if str(why).startswith("MemoryError") else "RE", str(why), seen)
        case {"value": value}:
            right = same_value(value, test.expected, tolerance)
            return TestResult(
                "AC" if right else "WA", seen={**seen, "got": json.dumps(value, ensure_ascii=False)}
            )
    return TestResult("RE", "the program ended before the function returned", seen)


def _javascript_caller(function: str) -> str:
    caller = (resources.files("dunwu.rewards") / "code_call.js").read_text()
    owner, _, method = function.rpartition(".")
    if owner:
        found = f"((...args) => new {owner}().{method}(...args))"
    else:
        found = f"(typeof {function} === 'undefined' ? (...args) => new Solution().{function}(...args) : {function})"
    return caller.replace("FUNCTION", found)


def _reply(stdout: bytes) -> Any:
    try:
        return json.loads(stdout)
    except (ValueError, RecursionError):
        return None


def _call_text(test: CallTest) -> str:
    given = [*(json.dumps(arg, ensure_ascii=False) for arg in test.args)]
    given += [f"{key}={json.dumps(arg, ensure_ascii=False)}" for key, arg in test.kwargs.items()]
    return f"{test.function}({', '.join(given)})"


def _require_tool(execution: Execution, language: Language) -> None:
    if execution.outcome == "refused":
        raise JudgingError(f"{execution.detail}; {language} needs {INSTALL[language]} in the sandbox")


def _first_error(errors: str) -> str:
    lines = errors.split("\n")
    return next((line for line in lines if "rror" in line), lines[-1]).strip()
