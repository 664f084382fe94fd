"""The code grader: a program that a policy wrote is right if it passes the problem's tests in a sandbox.

What a solution should print or return never enters the sandbox beside it: it is compared outside, as text or plain
data. Test programs run in a process apart (`code_tester`), repositories by their unit tests (`code_repository`).
Every function here may be called from many threads. Called by `accuracy`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dunwu.config.code import CodeConfig
from dunwu.errors import DunwuError
from dunwu.records import Problem, RewardPart
from dunwu.rewards.code_answer import complete_prompt, extract_program
from dunwu.rewards.code_checker import prepare_checker, run_checked_test
from dunwu.rewards.code_meter import MeteredExecutor, OutOfTimeError, limits_of_test, run_limits
from dunwu.rewards.code_patch import apply_answer
from dunwu.rewards.code_program import run_test_program
from dunwu.rewards.code_repository import run_repository_tests
from dunwu.rewards.code_run import (
    Program,
    compile_program,
    run_call_test,
    run_print_test,
)
from dunwu.rewards.code_task import CodeTask, CodeTaskError, Repository, read_code_task
from dunwu.rewards.code_verdict import JudgingError, NotGradableError, TestResult, describe
from dunwu.sandbox.executor import Executor

_SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")


@dataclass(frozen=True)
class Judgement:
    """The results of the tests that were run, in order, and how many there are."""

    results: tuple[TestResult, ...]
    num_tests: int

    @property
    def passed(self) -> int:
        """How many tests were passed; those that were not run were not."""
        return sum(result.verdict == "AC" for result in self.results)


def judge_code(problem: Problem, answer_text: str, executor: Executor, config: CodeConfig) -> RewardPart:
    """Return what a code answer is paid: for all its tests, by their share, or for compiling (`config.score`).

    Args:
        problem: its metadata holds the task (`code_task`).
        answer_text: the final answer, after thinking has ended; `code_answer` says which program in it is meant.
        executor: where everything runs.
    Returns:
        "not_gradable" for a malformed task, "error" where the sandbox failed, else a number from 0 to 1; the
        detail gives the verdict (AC WA TLE MLE OLE RE CE) and the first failing test with what was seen.
    Source: DeepSeek-R1 v1, 2.2.2: "a compiler can be used to generate feedback based on predefined test cases".
    Departures: what a solution that passes some of the tests is paid is not stated; nothing, by default.
    """
    try:
        task = read_code_task(problem.metadata)
        code = answer_text if task.repository else extract_program(answer_text, task.language)
        if code is None:
            return RewardPart(0.0, detail=f"CE: the answer holds no closed block of {task.language} code")
        if len(code.encode()) > config.max_code_kib * 1024:
            return RewardPart(0.0, detail=f"CE: the program is longer than {config.max_code_kib} KiB")
        judged = judge_program(task, code, executor, config)
    except UnicodeEncodeError:
        return RewardPart(0.0, detail="CE: the program is not valid Unicode")
    except (CodeTaskError, NotGradableError) as cause:
        return RewardPart(None, "not_gradable", str(cause))
    except (JudgingError, DunwuError, OSError) as cause:
        return RewardPart(None, "error", f"{type(cause).__name__}: {cause}")
    share = judged.passed / judged.num_tests
    value = float(share == 1) if config.score == "all" else share
    return RewardPart(value, detail=describe(judged.results, judged.num_tests, config.detail_chars))


def judge_program(task: CodeTask, code: str, executor: Executor, config: CodeConfig) -> Judgement:
    """Run a solution's tests, one after the other; with the score "all" only to the first that is not passed.

    Args:
        code: the solution; for a repository the answer that holds the patch.
    Raises:
        JudgingError, NotGradableError: no verdict can be reached.
    """
    metered = MeteredExecutor(executor, config.problem_seconds)
    if task.repository is not None:
        return _judge_patch(task, task.repository, code, metered, config)
    try:
        tests = _prepare(task, code, metered, config)
    except OutOfTimeError as cause:
        return Judgement((TestResult("TLE", str(cause)),), 1)
    if isinstance(tests, TestResult):
        return Judgement((tests,), 1)
    results: list[TestResult] = []
    for test in tests:
        try:
            results.append(_relabelled(test(), task, code, metered, config))
        except OutOfTimeError as cause:
            results.append(TestResult("TLE", str(cause)))
            break
        if results[-1].verdict == "CE" or (config.score == "all" and results[-1].verdict != "AC"):
            break
    return Judgement(tuple(results), len(tests))


def _prepare(
    task: CodeTask, code: str, executor: MeteredExecutor, config: CodeConfig
) -> Sequence[Callable[[], TestResult]] | TestResult:
    """The tests as functions that run one each; a verdict at once where the program does not compile."""
    limits = limits_of_test(config, task)
    how, tolerance = task.comparison or config.comparison, task.tolerance
    if config.score == "compile" or task.language == "cpp":
        source = complete_prompt(task.prompt, code, task.entry_point) if task.test_program else code
        program = compile_program(source, task.language, executor, run_limits(config.compile_limits))
        if isinstance(program, TestResult):
            return program
        if len(program.binary or b"") > limits.file_bytes // 2:
            return TestResult("MLE", f"the compiled program has {len(program.binary or b'')} bytes")
        if config.score == "compile":
            return [lambda: TestResult("AC", "it compiles")]
    else:
        program = Program(task.language, code)
    if task.test_program:
        return [partial(run_test_program, code, test, task, executor, limits) for test in task.test_program]
    if task.calls:
        return [
            partial(run_call_test, code, task.language, test, executor, limits, tolerance)
            for test in task.calls
        ]
    if task.checker is not None:
        checker = prepare_checker(task.checker, executor.inner, run_limits(config.compile_limits))
        return [partial(run_checked_test, program, test, checker, executor, limits) for test in task.tests]
    return [partial(run_print_test, program, test, executor, limits, how, tolerance) for test in task.tests]


def _judge_patch(
    task: CodeTask, repository: Repository, answer: str, executor: Executor, config: CodeConfig
) -> Judgement:
    ids = (*repository.fail_to_pass, *repository.pass_to_pass)
    try:
        patched = apply_answer(answer, repository, executor, run_limits(config.compile_limits))
        if isinstance(patched, TestResult):
            return Judgement((patched,), len(ids))
        if config.score == "compile":
            return Judgement((TestResult("AC", "the patch applies"),), 1)
        limits = limits_of_test(config, task)
        results = run_repository_tests(ids, patched.files, repository, executor, limits)
    except OutOfTimeError as cause:
        results = [TestResult("TLE", str(cause))]
    return Judgement(tuple(results), len(ids))


def _relabelled(
    result: TestResult, task: CodeTask, code: str, executor: Executor, config: CodeConfig
) -> TestResult:
    """CE in place of RE for a program that fails because it is no program of its language."""
    if result.verdict != "RE" or not task.tests or not any(sign in result.detail for sign in _SYNTAX_ERRORS):
        return result
    compiled = compile_program(code, task.language, executor, run_limits(config.compile_limits))
    return compiled if isinstance(compiled, TestResult) else result
