"""The interface of every sandbox: what runs programs written by a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from dunwu.sandbox.records import Command, Execution, Limits


class Executor(Protocol):
    """Runs programs. Every method may be called from many threads at once and blocks until the program is gone.

    A call waits until one of the executor's places is free; the program's clock starts when the program starts. Nothing
    that a program does raises here: how it ended is in the record. A sandbox that has stopped working raises SandboxError,
    and so does a call after `close`. Leaving its context closes it.
    """

    def run(self, command: Command, limits: Limits) -> Execution:
        """Run a command in a fresh folder."""

    def compile(
        self, command: Command, limits: Limits, outputs: Sequence[str]
    ) -> tuple[Execution, Mapping[str, bytes]]:
        """Run a command; return also those of the named files, relative to its folder, that it left there."""

    def run_python(self, source: str, stdin: bytes, files: Mapping[str, bytes], limits: Limits) -> Execution:
        """Run a Python program, as `python main.py` would, the fast way where there is one."""

    def describe(self) -> Mapping[str, str]:
        """Name each layer of isolation that is active, and each that is missing, for the run's log."""

    def close(self) -> None:
        """End everything that this executor started. Calling it again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
