"""What the executors share whose programs are watched by a keeper: places, and the way from a command to a request."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dunwu.errors import SandboxError
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.inside.request import Request
from dunwu.sandbox.records import Command, Execution, Limits
from dunwu.sandbox.requests import build_request, python_command


def default_places() -> int:
    """Return how many programs run at the same time unless told otherwise: one for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class KeeperExecutor(Executor):
    """An Executor with `max_parallel` places.

    `python` is what "python3" means in a command; `env` what every program's environment holds; `memory_is_bound` says that
    control groups hold a program to its memory.
    """

    def __init__(
        self, max_parallel: int, python: str, env: Mapping[str, str], *, memory_is_bound: bool
    ) -> None:
        self._max_parallel = max_parallel
        self._places = threading.BoundedSemaphore(max_parallel)
        self._closing = threading.Lock()
        self._closed = False
        self._python = python
        self._env = env
        self._memory_is_bound = memory_is_bound

    @abstractmethod
    def _run_request(
        self, request: Request, limits: Limits, label: str
    ) -> tuple[Execution, Mapping[str, bytes]]:
        """Run one program; a place is free for it. `label` is what a log may call it."""

    @abstractmethod
    def describe(self) -> Mapping[str, str]:
        """See Executor."""

    def _end(self) -> None:
        """End what was started; nothing runs any more."""

    def run(self, command: Command, limits: Limits) -> Execution:
        """See Executor."""
        return self._execute(command, limits)[0]

    def compile(
        self, command: Command, limits: Limits, outputs: Sequence[str]
    ) -> tuple[Execution, Mapping[str, bytes]]:
        """See Executor."""
        return self._execute(command, limits, tuple(outputs))

    def run_python(self, source: str, stdin: bytes, files: Mapping[str, bytes], limits: Limits) -> Execution:
        """See Executor."""
        return self._execute(python_command(source, stdin, files), limits)[0]

    def _execute(
        self, command: Command, limits: Limits, outputs: tuple[str, ...] = ()
    ) -> tuple[Execution, Mapping[str, bytes]]:
        label = " ".join(command.argv) or "a Python program"
        if command.argv and command.argv[0] in ("python", "python3"):
            command = replace(command, argv=(self._python, *command.argv[1:]))
        request = build_request(command, limits, outputs, self._env, memory_is_bound=self._memory_is_bound)
        with self._places:
            if self._closed:
                raise SandboxError("this sandbox is closed; open another")
            return self._run_request(request, limits, label)

    def close(self) -> None:
        """See Executor. Waits for the programs that run."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            for _ in range(self._max_parallel):
                self._places.acquire()
            self._end()
            self._places.release(self._max_parallel)
