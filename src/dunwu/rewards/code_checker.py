"""Judges printed output by a checker program of the task's own, in a sandbox where the solution is not."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from dunwu.rewards.code_run import Program, compile_program, printed
from dunwu.rewards.code_task import Checker, PrintTest
from dunwu.rewards.code_verdict import JudgingError, NotGradableError, TestResult, Verdict
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Command, Limits

_KEPT = 64
_compiled: WeakKeyDictionary[Executor, OrderedDict[Checker, Program]] = WeakKeyDictionary()
_lock = threading.Lock()


@dataclass(frozen=True)
class ReadyChecker:
    """A checker that can be run."""

    rules: Checker
    program: Program

    def judge(
        self, given: str, output: str, answer: str, executor: Executor, limits: Limits
    ) -> tuple[Verdict, str]:
        """Return AC or WA for an output, and what the checker said.

        A checker that crashes or does not end on an output does so because of it: what it says of the expected output
        is seen before training (`code_fault`). Such an output is wrong.

        Raises:
            JudgingError: the sandbox did not run the checker.
        """
        files = {"input.txt": given, "output.txt": output, "answer.txt": answer}
        names = ("input.txt", "output.txt", "answer.txt")
        if self.rules.protocol == "prints":
            names = ("input.txt", "answer.txt", "output.txt")
        argv, content = self._command()
        command = Command(
            (*argv, *names), files={argv[-1]: content, **{k: v.encode() for k, v in files.items()}}
        )
        execution = executor.run(command, limits)
        if execution.outcome == "refused":
            raise JudgingError(f"the sandbox did not run the checker: {execution.detail}")
        said = (execution.stdout + execution.stderr).decode(errors="replace").strip()
        if execution.outcome != "exited":
            return (
                "WA",
                f"the checker did not end well on this output: {execution.detail or execution.outcome}",
            )
        if self.rules.protocol == "testlib":
            return ("AC" if execution.exit_code == 0 else "WA"), said
        try:
            points = float(execution.stdout)
        except ValueError:
            points = 0.0
        return ("AC" if execution.exit_code == 0 and points >= 1 else "WA"), said

    def _command(self) -> tuple[tuple[str, ...], bytes]:
        match self.program.language:
            case "python":
                return ("python3", "checker.py"), self.program.source.encode()
            case "javascript":
                return ("node", "checker.js"), self.program.source.encode()
            case "cpp":
                assert self.program.binary is not None, "a C++ checker is compiled"
                return ("./checker",), self.program.binary


def prepare_checker(checker: Checker, executor: Executor, limits: Limits) -> ReadyChecker:
    """Return a checker ready to be run; compiled once for each executor.

    Raises:
        NotGradableError: it does not compile.
    """
    with _lock:
        known = _compiled.setdefault(executor, OrderedDict())
        if checker in known:
            known.move_to_end(checker)
            return ReadyChecker(checker, known[checker])
    program = compile_program(checker.source, checker.language, executor, limits)
    if isinstance(program, TestResult):
        raise NotGradableError(f"the task's checker does not compile: {program.detail}")
    with _lock:
        known[checker] = program
        while len(known) > _KEPT:
            known.popitem(last=False)
    return ReadyChecker(checker, program)


def run_checked_test(
    program: Program, test: PrintTest, checker: ReadyChecker, executor: Executor, limits: Limits
) -> TestResult:
    """Run a program on a test's input and let the checker judge what it printed."""
    got = printed(program, test, executor, limits)
    if isinstance(got, TestResult):
        return got
    verdict, said = checker.judge(test.stdin, got, test.stdout, executor, limits)
    return TestResult(verdict, said, {"input": test.stdin, "expected": test.stdout, "got": got})


def checker_fault(
    checker: ReadyChecker, tests: tuple[PrintTest, ...], executor: Executor, limits: Limits
) -> str | None:
    """Return why a checker cannot be trusted: it refuses an expected output, or accepts an empty one."""
    for number, test in enumerate(tests, start=1):
        if test.stdout.strip():
            verdict, said = checker.judge(test.stdin, test.stdout, test.stdout, executor, limits)
            if verdict != "AC":
                return f"its checker refuses the expected output of test {number}: {said}"
    if all(checker.judge(test.stdin, "", test.stdout, executor, limits)[0] == "AC" for test in tests):
        return "its checker accepts a program that prints nothing"
    return None
