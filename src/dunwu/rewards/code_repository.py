"""Judges a patch to a small repository by the repository's unit tests, which run in a process apart."""

import posixpath
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dunwu.rewards.code_apart import run_apart
from dunwu.rewards.code_patch import is_protected
from dunwu.rewards.code_task import Repository
from dunwu.rewards.code_verdict import TestResult
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Limits

_SOURCE_FOLDERS = ("", "src", "lib")


def run_repository_tests(
    ids: Sequence[str], files: Mapping[str, str], repository: Repository, executor: Executor, limits: Limits
) -> list[TestResult]:
    """Run unit tests of a repository.

    Args:
        ids: the tests, as the runner names them: "tests.test_a.TestA.test_b", "tests/test_a.py::TestA::test_b".
        files: the repository after the patch, protected files as they were.
        limits: of each test; all run together first, within the sum of their limits. Where that does not end well,
            each test gets a run of its own.
    Raises:
        JudgingError, NotGradableError: as `run_apart`.
    """
    request = _request(files, repository)
    together = replace(
        limits, cpu_seconds=limits.cpu_seconds * len(ids), wall_seconds=limits.wall_seconds * len(ids)
    )
    report = run_apart({**request, "ids": list(ids)}, executor, together)
    if not isinstance(report, TestResult) and not report["detail"]:
        return [_result(report, name) for name in ids]
    if len(ids) == 1:
        return [report if isinstance(report, TestResult) else _result(report, ids[0])]
    return [run_repository_tests([name], files, repository, executor, limits)[0] for name in ids]


def _result(report: dict[str, Any], name: str) -> TestResult:
    verdict, detail = report["outcomes"].get(name, ("RE", report["detail"] or "it was not run"))
    seen = {"test": name, "got": detail} if detail else {"test": name}
    return TestResult(verdict, report["detail"] if verdict != "AC" else "", seen)


def _request(files: Mapping[str, str], repository: Repository) -> dict[str, Any]:
    """What the tester needs: test modules for itself, everything else for the solution's process."""
    tests, modules = {}, {}
    own = {path: text for path, text in files.items() if is_protected(path, repository)}
    others = {path: text for path, text in files.items() if path not in own}
    for path, text in own.items():
        for name, is_package in _module_names(path, also_bare=True).items():
            tests[name] = {"path": path, "source": text, "package": is_package}
    for name in [name for name in tests if "." in name]:
        for package in _parents(name):
            tests.setdefault(package, {"path": package.replace(".", "/"), "source": "", "package": True})
    for path in others:
        for name, is_package in _module_names(path, also_bare=False).items():
            modules[name] = is_package
            modules.update(dict.fromkeys(_parents(name), True))
    modules = {
        name: is_package
        for name, is_package in modules.items()
        if name.split(".")[0] not in sys.stdlib_module_names
    }
    folders = [
        folder for folder in _SOURCE_FOLDERS if not folder or any(p.startswith(folder + "/") for p in others)
    ]
    return {
        "files": others,
        "folders": folders,
        "tests": tests,
        "modules": modules,
        "runner": repository.runner,
        "own_equality": repository.own_equality,
    }


def _module_names(path: str, *, also_bare: bool) -> dict[str, bool]:
    """The dotted names under which a file may be imported, and whether it is a package.

    Args:
        also_bare: also its name without folders, as test runners put a test file's folder on the import path.
    """
    stem, extension = posixpath.splitext(path)
    if extension != ".py":
        return {}
    is_package = posixpath.basename(stem) == "__init__"
    if is_package:
        stem = posixpath.dirname(stem)
    starts = [folder + "/" if folder else "" for folder in _SOURCE_FOLDERS]
    names = [stem.removeprefix(start).replace("/", ".") for start in starts if stem.startswith(start)]
    if also_bare and not is_package:
        names.append(posixpath.basename(stem))
    return {name: is_package for name in names if name}


def _parents(name: str) -> list[str]:
    steps = name.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps))]
