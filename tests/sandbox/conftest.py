"""Executors to test with: bubblewrap as it opens here, bubblewrap with a jail for each program, and none at all."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.sandbox.bubblewrap import BubblewrapExecutor
from dunwu.sandbox.cgroups import find_hierarchies
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.jail import Blueprint
from dunwu.sandbox.open import compile_filters, make_blueprint, open_executor
from dunwu.sandbox.records import Limits
from dunwu.sandbox.unsafe import UnsafeExecutor

LIMITS = Limits(
    cpu_seconds=10, wall_seconds=30, memory_bytes=256 * 2**20, processes=32, file_bytes=16 * 2**20
)


needs_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


def blueprint(*, nested: bool = True, memory_is_bound: bool = True) -> Blueprint:
    """The jail that open_executor builds, with or without namespaces inside of namespaces."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    config = BubblewrapSandbox()
    return make_blueprint(config, compile_filters(config, memory_is_bound=memory_is_bound), nested=nested)


@pytest.fixture(scope="package")
def nested() -> Iterator[Executor]:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    with open_executor(BubblewrapSandbox(max_parallel=3)) as executor:
        assert executor.describe()["start"].startswith("a fork")
        yield executor


@pytest.fixture(scope="package")
def flat() -> Iterator[Executor]:
    with BubblewrapExecutor(blueprint(nested=False), find_hierarchies(), 2, {}) as executor:
        yield executor


@pytest.fixture(scope="package")
def without_groups() -> Iterator[Executor]:
    """Bubblewrap where no control group can be made."""
    with BubblewrapExecutor(blueprint(memory_is_bound=False), (), 2, {}) as executor:
        yield executor


@pytest.fixture(scope="package")
def unsafe() -> Iterator[Executor]:
    with UnsafeExecutor(2) as executor:
        yield executor


@pytest.fixture(params=["nested", "flat", "without_groups", "unsafe"])
def executor(request: pytest.FixtureRequest) -> Executor:
    """Each of them: what a program sees of its run is the same in all."""
    chosen: Executor = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(params=["nested", "flat", "without_groups"])
def isolated(request: pytest.FixtureRequest) -> Executor:
    """Each that isolates."""
    chosen: Executor = request.getfixturevalue(request.param)
    return chosen


def traces(pid: int) -> list[str]:
    """What a process's sandboxes may leave on this machine: processes, control groups."""
    found = [
        f"{process.pid} {process.info['cmdline'][:2]}"
        for process in psutil.process_iter(["cmdline"])
        if f"dunwu-{pid}-" in " ".join(process.info["cmdline"] or ())
    ]
    for hierarchy in find_hierarchies():
        found += [str(path) for path in hierarchy.folder.glob(f"dunwu-{pid}-*")]
    return found


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until a condition holds; whether it ever did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def open_files() -> list[str]:
    """What this process's file descriptors lead to."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            found.append(os.readlink(fd))
        except OSError:  # the one that lists
            continue
    return sorted(found)
