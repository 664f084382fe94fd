"""Runs a tester in the sandbox (`code_tester`) and reads its signed report."""

import inspect
import json
import marshal
import secrets
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.util import MAGIC_NUMBER
from types import ModuleType
from typing import Any

from dunwu.rewards import code_objects, code_remote, code_servant, code_tester, code_unit_tests, code_wire
from dunwu.rewards.code_verdict import JudgingError, NotGradableError, TestResult, failed_run
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Limits

_EXTRA_PROCESSES = 2


def run_apart(request: Mapping[str, Any], executor: Executor, limits: Limits) -> dict[str, Any] | TestResult:
    """Run tests in a process apart from the solution's.

    Args:
        request: what `code_tester` reads.
    Returns:
        The tester's report, or the verdict on a run that made none.
    Raises:
        JudgingError: the sandbox failed, or does not keep the solution away from the tester.
        NotGradableError: the tests do what cannot be done across processes.
    """
    secret = secrets.token_hex(16)
    stdin = json.dumps({**request, "secret": secret}).encode()
    source = tester_source(with_unit_tests="ids" in request)
    roomy = replace(limits, processes=limits.processes + _EXTRA_PROCESSES)
    execution = executor.run_python(source, stdin, {}, roomy)
    failed = failed_run(execution)
    if failed is not None:
        return failed
    report = _read_report(execution.stdout, secret)
    if report is None:
        return TestResult("RE", "the tests did not reach their end")
    match report["verdict"]:
        case "unprotected":
            raise JudgingError(f"this sandbox does not protect tests from what they test: {report['detail']}")
        case "unsupported":
            raise NotGradableError(f"the tests cannot run apart from the solution: {report['detail']}")
    return report


@lru_cache(maxsize=2)
def tester_source(*, with_unit_tests: bool) -> str:
    """Return the tester and what it needs, as one program."""
    modules = [
        code_wire,
        code_objects,
        code_remote,
        code_servant,
        *([code_unit_tests] if with_unit_tests else []),
        code_tester,
    ]
    return bundle(*modules) + f"sys.modules[{code_tester.__name__!r}].main()\n"


def bundle(*modules: ModuleType) -> str:
    """Return a program that defines modules, in this order, under their own names.

    It holds them as text and as the bytecode of this interpreter, which an interpreter of the same kind takes: reading
    the text would cost as much time as everything else.
    """
    texts = [(module.__name__, inspect.getsource(module)) for module in modules]
    codes = [marshal.dumps(compile(text, name, "exec", optimize=2)) for name, text in texts]
    return (
        "import marshal, sys, types\n"
        "from importlib._bootstrap_external import MAGIC_NUMBER\n"
        f"for (name, text), code in zip({texts!r}, {codes!r}):\n"
        "    sys.modules[name] = module = types.ModuleType(name)\n"
        f"    known = MAGIC_NUMBER == {MAGIC_NUMBER!r} and sys.implementation.name == {sys.implementation.name!r}\n"
        "    exec(marshal.loads(code) if known else compile(text, name, 'exec', dont_inherit=True), vars(module))\n"
    )


def _read_report(stdout: bytes, secret: str) -> dict[str, Any] | None:
    try:
        report = json.loads(stdout)
    except (ValueError, RecursionError):
        return None
    if not isinstance(report, dict) or not secrets.compare_digest(str(report.get("secret")), secret):
        return None
    return report
