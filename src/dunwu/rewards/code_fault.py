"""Finds code problems that no answer can be judged by, before training. Called by `code_grader`."""

from dunwu.config.code import CodeConfig
from dunwu.errors import DunwuError
from dunwu.records import Problem
from dunwu.rewards.code import judge_program
from dunwu.rewards.code_answer import extract_program
from dunwu.rewards.code_checker import checker_fault, prepare_checker
from dunwu.rewards.code_compare import same_output
from dunwu.rewards.code_meter import limits_of_test, run_limits
from dunwu.rewards.code_repository import run_repository_tests
from dunwu.rewards.code_run import tool_fault
from dunwu.rewards.code_task import CodeTask, CodeTaskError, Repository, read_code_task
from dunwu.rewards.code_verdict import JudgingError, NotGradableError, describe
from dunwu.sandbox.executor import Executor


def code_fault(problem: Problem, executor: Executor, config: CodeConfig) -> str | None:
    """Return why no answer to a code problem can be judged; None if it can.

    The task is malformed; its language has no compiler or interpreter in the sandbox; its reference solution
    (`problem.reference`, where there is one) does not pass its own tests; a program that does nothing passes them.
    """
    try:
        task = read_code_task(problem.metadata)
        fault = tool_fault(task.language, executor, run_limits(config.test_limits))
        if fault is None and problem.reference.strip():
            fault = _reference_fault(task, problem.reference, executor, config)
        return fault or _emptiness_fault(task, executor, config)
    except (CodeTaskError, NotGradableError) as cause:
        return str(cause)
    except (JudgingError, DunwuError, OSError) as cause:
        return f"it could not be checked: {type(cause).__name__}: {cause}"


def _reference_fault(task: CodeTask, reference: str, executor: Executor, config: CodeConfig) -> str | None:
    code = reference if task.repository else extract_program(reference, task.language) or reference
    judged = judge_program(task, code, executor, _for_all_tests(config))
    if judged.passed == judged.num_tests:
        return None
    return f"its reference solution fails: {describe(judged.results, judged.num_tests, config.detail_chars)}"


def _for_all_tests(config: CodeConfig) -> CodeConfig:
    return config.model_copy(update={"score": "all"})


def _emptiness_fault(task: CodeTask, executor: Executor, config: CodeConfig) -> str | None:
    """Why a program that does nothing would be paid."""
    how = task.comparison or config.comparison
    limits = limits_of_test(config, task)
    if task.checker is not None:
        checker = prepare_checker(task.checker, executor, run_limits(config.compile_limits))
        return checker_fault(checker, task.tests, executor, limits)
    if task.tests and all(same_output("", test.stdout, how) for test in task.tests):
        return "a program that prints nothing passes its tests"
    if task.calls and all(test.expected is None for test in task.calls):
        return "a function that returns nothing passes its tests"
    if task.repository is not None:
        return _unpatched_fault(task, task.repository, executor, config)
    if task.test_program:
        stub = f"def {task.entry_point}(*args, **kwargs):\n    return None\n" if task.entry_point else ""
        judged = judge_program(task, stub, executor, _for_all_tests(config))
        if judged.passed == judged.num_tests:
            return "a function that returns nothing passes its tests"
    return None


def _unpatched_fault(
    task: CodeTask, repository: Repository, executor: Executor, config: CodeConfig
) -> str | None:
    """Why the unit tests do not tell a mended repository from the one that was given."""
    ids = (*repository.fail_to_pass, *repository.pass_to_pass)
    results = run_repository_tests(ids, repository.files, repository, executor, limits_of_test(config, task))
    for name, result in zip(ids, results, strict=True):
        if (result.verdict == "AC") == (name in repository.fail_to_pass):
            state = (
                "is passed" if result.verdict == "AC" else f"is not passed ({result.verdict} {result.detail})"
            )
            return f"without any patch the test {name} {state}"
    return None
