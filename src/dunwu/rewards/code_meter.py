"""The limits of runs, and the deadline of a whole problem: counted from what its runs took, not from the clock.

A run that waits for a free place in the sandbox costs the problem nothing, so that a busy machine ends no honest
answer early.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.rewards.code_task import CodeTask
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Command, Execution, Limits

_WALL_PER_CPU = 3.0


class OutOfTimeError(Exception):
    """The problem's time was spent before this run."""


class MeteredExecutor:
    """An executor for one problem: its runs together take at most `seconds`. Closing it closes nothing."""

    def __init__(self, executor: Executor, seconds: float) -> None:
        self.inner = executor
        """The executor itself, for what is no part of judging one answer."""
        self._seconds = seconds
        self._left = seconds

    def run(self, command: Command, limits: Limits) -> Execution:
        """As `Executor.run`.

        Raises:
            OutOfTimeError: nothing is left of the problem's time.
        """
        return self._spent(self.inner.run(command, self._within(limits)))

    def compile(
        self, command: Command, limits: Limits, outputs: Sequence[str]
    ) -> tuple[Execution, Mapping[str, bytes]]:
        """As `Executor.compile`; raises as `run` does."""
        execution, files = self.inner.compile(command, self._within(limits), outputs)
        return self._spent(execution), files

    def run_python(self, source: str, stdin: bytes, files: Mapping[str, bytes], limits: Limits) -> Execution:
        """As `Executor.run_python`; raises as `run` does."""
        return self._spent(self.inner.run_python(source, stdin, files, self._within(limits)))

    def describe(self) -> Mapping[str, str]:
        """As `Executor.describe`."""
        return self.inner.describe()

    def close(self) -> None:
        """Leave the executor open: it belongs to others too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _within(self, limits: Limits) -> Limits:
        if self._left <= 0:
            raise OutOfTimeError(f"the whole problem ran for more than {self._seconds:g} s")
        return replace(limits, wall_seconds=min(limits.wall_seconds, self._left))

    def _spent(self, execution: Execution) -> Execution:
        self._left -= execution.wall_seconds
        return execution


def run_limits(limits: RunLimits) -> Limits:
    """Return configured limits as the sandbox takes them."""
    return Limits(
        cpu_seconds=limits.cpu_seconds,
        wall_seconds=limits.wall_seconds,
        memory_bytes=limits.memory_mib * 2**20,
        output_bytes=limits.output_kib * 2**10,
        processes=limits.processes,
        file_bytes=limits.file_mib * 2**20,
    )


def limits_of_test(config: CodeConfig, task: CodeTask) -> Limits:
    """Return the limits of each test: the configured ones, processor time and memory as the task states them."""
    limits = run_limits(config.test_limits)
    if task.cpu_seconds is not None:
        wall = max(limits.wall_seconds, task.cpu_seconds * _WALL_PER_CPU)
        limits = replace(limits, cpu_seconds=task.cpu_seconds, wall_seconds=wall)
    if task.memory_mib is not None:
        limits = replace(limits, memory_bytes=task.memory_mib * 2**20)
    return limits
