"""Runs a repository's unit tests against code that lives in another process. Runs inside the sandbox, in the tester.

Test files are modules of the tester, made from text that never touches a disk the other process can read. Every
other module of the repository is imported there, and appears here as a `RemoteModule`. Installed packages and the
standard library are found before either. Imports the standard library, and pytest where that runs the tests.
"""

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import traceback
import types
from collections.abc import Sequence
from typing import Any

from dunwu.rewards.code_objects import RemoteObject
from dunwu.rewards.code_remote import Solution, SolutionEndedError

Outcome = tuple[str, str]
"""A verdict (AC, WA, RE), and what was seen."""


class RemoteModule(types.ModuleType):
    """A module of the repository, imported in the solution's process."""

    def __init__(self, name: str, there: RemoteObject) -> None:
        super().__init__(name)
        self.__dict__["_there"] = there

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        return getattr(self.__dict__["_there"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") or isinstance(value, types.ModuleType):
            super().__setattr__(name, value)  # what the import system itself notes here
        else:
            setattr(self.__dict__["_there"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_there"], name)


class RepositoryImporter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the repository's modules: tests here, everything else there."""

    def __init__(
        self, solution: Solution, tests: dict[str, dict[str, Any]], packages: dict[str, bool]
    ) -> None:
        """Args:
        tests: of each test module, by its dotted name: "path", "source", "package".
        packages: of each module to be imported there, by its dotted name: whether it is a package.
        """
        self._solution = solution
        self._tests = tests
        self._packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return where a module comes from, None if it is not the repository's."""
        if name in self._tests:
            is_package = self._tests[name]["package"]
        elif name in self._packages:
            is_package = self._packages[name]
        else:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=is_package)

    def create_module(self, spec: Any) -> types.ModuleType | None:
        """Return a module from there; None for a test module, which is made as any other."""
        if spec.name in self._tests:
            return None
        return RemoteModule(spec.name, self._solution.import_module(spec.name))

    def exec_module(self, module: types.ModuleType) -> None:
        """Run a test module's source."""
        if module.__name__ in self._tests:
            found = self._tests[module.__name__]
            module.__file__ = found["path"]
            exec(compile(found["source"], found["path"], "exec", dont_inherit=True), vars(module))


def run_unit_tests(solution: Solution, task: dict[str, Any]) -> dict[str, Outcome]:
    """Run the tests that a task names; return what became of each."""
    sys.meta_path.append(RepositoryImporter(solution, task["tests"], task["modules"]))
    run = _run_pytest if task["runner"] == "pytest" else _run_unittest
    return run(task["ids"], task["tests"])


def _run_unittest(ids: Sequence[str], tests: dict[str, Any]) -> dict[str, Outcome]:
    import unittest

    outcomes = {}
    for name in ids:
        result = unittest.TestResult()
        try:
            unittest.defaultTestLoader.loadTestsFromName(name).run(result)
        except (Exception, SolutionEndedError) as error:
            outcomes[name] = _failed(error, tests)
            continue
        problems = [*result.failures, *result.errors]
        if problems:
            lines = problems[0][1].strip().split("\n")
            verdict = "WA" if not result.errors else "RE"
            outcomes[name] = (verdict, _last_lines(lines))
        elif result.skipped or result.unexpectedSuccesses or not result.testsRun:
            outcomes[name] = ("WA", "it was skipped, is expected to fail, or holds no test")
        else:
            outcomes[name] = ("AC", "")
    return outcomes


def _run_pytest(ids: Sequence[str], tests: dict[str, Any]) -> dict[str, Outcome]:
    import pytest

    names = {os.path.realpath(test["path"]): name for name, test in tests.items()}
    reports: dict[str, list[Any]] = {}
    troubles: list[str] = []

    class MemoryModule(pytest.Module):
        def _getobj(self) -> types.ModuleType:
            return importlib.import_module(names[os.path.realpath(self.path)])

    class Plugin:
        def pytest_configure(self, config: Any) -> None:
            for path, name in sorted(names.items(), key=lambda pair: pair[0].count("/")):
                if os.path.basename(path) == "conftest.py":
                    config.pluginmanager.register(importlib.import_module(name), name)

        def pytest_pycollect_makemodule(self, module_path: Any, parent: Any) -> Any:
            return MemoryModule.from_parent(parent, path=module_path)

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                troubles.append(report.longreprtext)

        def pytest_internalerror(self, excrepr: Any) -> None:
            troubles.append(str(excrepr))

        def pytest_runtest_logreport(self, report: Any) -> None:
            reports.setdefault(report.nodeid, []).append(report)

    for path in {test["path"] for test in tests.values() if test["path"].endswith(".py")}:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w"):
            pass  # pytest wants to see a file; what it holds stays in memory
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = [
        "--noconftest",
        "--capture=sys",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        f"--rootdir={os.getcwd()}",
    ]
    pytest.main([*options, "--continue-on-collection-errors", *ids], plugins=[Plugin()])
    missing = _last_lines(troubles[0].strip().split("\n")) if troubles else "it was not found"
    return {name: _pytest_outcome(reports.get(name, []), missing) for name in ids}


def _pytest_outcome(reports: Sequence[Any], missing: str) -> Outcome:
    phases = {report.when: report for report in reports}
    for phase in ("setup", "call", "teardown"):
        report = phases.get(phase)
        if report is None:
            return "RE", missing
        if report.outcome != "passed" or hasattr(report, "wasxfail"):
            lines = (report.longreprtext or report.outcome).strip().split("\n")
            return ("WA" if phase == "call" else "RE"), _last_lines(lines)
    return "AC", ""


def _failed(error: BaseException, tests: dict[str, Any]) -> Outcome:
    lines = traceback.format_exception(error)
    return "RE", _last_lines("".join(lines).strip().split("\n"))


def _last_lines(lines: Sequence[str]) -> str:
    return "\n".join(lines[-3:])[-1000:]
