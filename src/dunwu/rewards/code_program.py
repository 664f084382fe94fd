"""Judges a solution by a test program (HumanEval, MBPP) that runs in a process apart."""

from functools import lru_cache

from dunwu.rewards.code_answer import complete_prompt, defines
from dunwu.rewards.code_apart import run_apart
from dunwu.rewards.code_task import CodeTask
from dunwu.rewards.code_verdict import NotGradableError, TestResult
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Limits

_SEEN = ("input", "expected", "got")


def run_test_program(
    code: str, program: str, task: CodeTask, executor: Executor, limits: Limits
) -> TestResult:
    """Run one test program against a solution.

    Args:
        code: the solution as extracted from the answer, a completion of the task's prompt if it has one.
        program: the test; where it defines `check`, `check(entry_point)` is called at its end, as HumanEval does.
    Raises:
        JudgingError, NotGradableError: as `run_apart`; the task's prompt is not the beginning of a program.
    """
    if task.entry_point and defines(program, "check"):
        program += f"\ncheck({task.entry_point})\n"
    request = {
        "solution": complete_prompt(task.prompt, code, task.entry_point),
        "prompt": prompt_alone(task.prompt),
        "program": program,
        "entry_point": task.entry_point,
        "own_equality": task.own_equality,
    }
    report = run_apart(request, executor, limits)
    if isinstance(report, TestResult):
        return report
    verdict, detail = report["verdict"], report["detail"]
    if verdict == "RE" and "MemoryError" in detail:
        verdict = "MLE"
    return TestResult(verdict, detail, {name: report[name] for name in _SEEN if name in report})


@lru_cache(maxsize=4096)
def prompt_alone(prompt: str) -> str:
    """Return a prompt as a program of its own: its imports, its helpers, and a last function without a body.

    Raises:
        NotGradableError: it is not the beginning of a Python program.
    """
    for body in ("", "\n    pass\n"):
        try:
            compile(prompt + body, "prompt", "exec")
        except SyntaxError:
            continue
        return prompt + body
    raise NotGradableError("the task's prompt is not the beginning of a Python program")
