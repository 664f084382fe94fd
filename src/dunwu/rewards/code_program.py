"""Judges a solution by a test program (HumanEval, MBPP): the two run in processes that share plain data only."""

import inspect
import json
import secrets
from functools import lru_cache
from types import ModuleType

from dunwu.rewards import code_remote, code_servant, code_tester, code_wire
from dunwu.rewards.code_answer import complete_prompt, defines
from dunwu.rewards.code_task import CodeTask
from dunwu.rewards.code_verdict import JudgingError, NotGradableError, TestResult, failed_run
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Limits

_EXTRA_PROCESSES = 2
_SEEN = ("input", "expected", "got")


@lru_cache(maxsize=1)
def tester_source() -> str:
    """The tester and what it needs, as one program."""
    return (
        bundle(code_wire, code_remote, code_servant, code_tester)
        + "\nsys.modules['dunwu.rewards.code_tester'].main()\n"
    )


def bundle(*modules: ModuleType) -> str:
    """Return a program that defines the modules, in this order, under their own names."""
    texts = [(module.__name__, inspect.getsource(module)) for module in modules]
    return (
        "import sys, types\n"
        f"for name, text in {texts!r}:\n"
        "    sys.modules[name] = module = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), vars(module))\n"
    )


def run_test_program(
    code: str, program: str, task: CodeTask, executor: Executor, limits: Limits
) -> TestResult:
    """Run one test program against a solution.

    Args:
        code: the solution as extracted from the answer, a completion of the task's prompt if it has one.
        program: the test; where it defines `check`, `check(entry_point)` is called at its end, as HumanEval does.
    Raises:
        JudgingError: the sandbox failed, or does not keep the solution away from the tester.
        NotGradableError: the test does what cannot be done across processes.
    """
    if task.entry_point and defines(program, "check"):
        program += f"\ncheck({task.entry_point})\n"
    secret = secrets.token_hex(16)
    request = {
        "solution": complete_prompt(task.prompt, code, task.entry_point),
        "prompt": prompt_alone(task.prompt),
        "program": program,
        "entry_point": task.entry_point,
        "secret": secret,
    }
    execution = executor.run_python(tester_source(), json.dumps(request).encode(), {}, limits)
    failed = failed_run(execution)
    if failed is not None:
        return failed
    report = _read_report(execution.stdout, secret)
    if report is None:
        return TestResult("RE", "the test program did not reach its end")
    match report["verdict"]:
        case "unprotected":
            raise JudgingError(f"this sandbox does not protect a test program: {report['detail']}")
        case "unsupported":
            raise NotGradableError(f"the test program cannot run apart from the solution: {report['detail']}")
    seen = {name: report[name] for name in _SEEN if name in report}
    verdict = report["verdict"]
    if verdict == "RE" and "MemoryError" in report["detail"]:
        verdict = "MLE"
    return TestResult(verdict, report["detail"], seen)


def tester_limits(limits: Limits) -> Limits:
    """The limits of a run that holds a tester beside the solution."""
    return Limits(
        cpu_seconds=limits.cpu_seconds,
        wall_seconds=limits.wall_seconds,
        memory_bytes=limits.memory_bytes,
        output_bytes=limits.output_bytes,
        processes=limits.processes + _EXTRA_PROCESSES,
        file_bytes=limits.file_bytes,
    )


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


def _read_report(stdout: bytes, secret: str) -> dict[str, str] | None:
    try:
        report = json.loads(stdout)
    except ValueError:
        return None
    if not isinstance(report, dict) or not secrets.compare_digest(str(report.get("secret")), secret):
        return None
    return report
