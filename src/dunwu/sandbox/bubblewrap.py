"""The executor that runs programs in bubblewrap.

A place of the executor is a jail with a keeper that stays; each run is a fork of it into namespaces of its own, which costs some
milliseconds. Where the kernel forbids namespaces inside of namespaces, every run gets a new jail instead.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from dunwu.errors import SandboxError
from dunwu.sandbox.cgroups import Groups, Hierarchy
from dunwu.sandbox.inside.request import Request
from dunwu.sandbox.jail import Blueprint, Jail
from dunwu.sandbox.keeper_executor import KeeperExecutor
from dunwu.sandbox.memory import judge_memory
from dunwu.sandbox.records import Execution, Limits
from dunwu.sandbox.requests import read_answer

_RUNS_OF_A_JAIL = 10_000
_ATTEMPTS = 3
_KEEPER_PROCESSES = 3  # keeper, supervisor, reaper
_KEEPER_BYTES = 16 * 2**20  # what supervisor and reaper need beside the program
_KILLED: tuple[dict[str, Any], list[bytes]] = (
    {"outcome": "signalled", "signal": int(signal.SIGKILL), "detail": "killed together with its sandbox"},
    [b"", b""],
)


class BubblewrapExecutor(KeeperExecutor):
    """Runs each program in namespaces of its own inside a jail (see Executor)."""

    def __init__(
        self,
        blueprint: Blueprint,
        hierarchies: tuple[Hierarchy, ...],
        max_parallel: int,
        layers: Mapping[str, str],
    ) -> None:
        bound = any("memory" in hierarchy.controllers for hierarchy in hierarchies)
        super().__init__(max_parallel, blueprint.interpreter.program, blueprint.env, memory_is_bound=bound)
        self._blueprint = blueprint
        self._layers = dict(layers)
        self._lock = threading.Lock()
        self._idle: list[Jail] = []
        self._count = 0
        self._groups = Groups(hierarchies) if hierarchies else None
        # bubblewrap ends when the thread that started it does, so one thread, which lives as long as we, starts all
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="sandbox-starter")

    def _run_request(
        self, request: Request, limits: Limits, label: str
    ) -> tuple[Execution, Mapping[str, bytes]]:
        jail = self._take_bounded(request, limits)
        keep = False
        try:
            answer = _converse(jail, request)
            keep = answer is not None and jail.blueprint.nested and jail.runs < _RUNS_OF_A_JAIL
            execution, left = read_answer(*(answer or _KILLED))
            return judge_memory(execution, jail.group), left
        finally:
            if keep:
                self._give_back(jail)
            else:
                jail.kill()

    def _take_bounded(self, request: Request, limits: Limits) -> Jail:
        """Return a jail whose group, if it has one, holds a run to its limits.

        Raises:
            SandboxError: the kernel does not take the limits, not even for new jails.
        """
        fault = ""
        for _ in range(_ATTEMPTS):
            jail = self._take(limits)
            if jail.group is None:
                return jail
            try:
                jail.group.start_run(
                    memory_bytes=limits.memory_bytes + _keeper_bytes(request),
                    processes=limits.processes + _KEEPER_PROCESSES,
                )
                return jail
            except OSError as error:  # more in use than the new limit, and the kernel could not drop it
                fault = str(error)
                jail.kill()
        raise SandboxError(
            f"control groups do not hold programs to {limits}: {fault}; close the sandbox and open it again"
        )

    def _take(self, limits: Limits) -> Jail:
        """Return an idle jail, or start one."""
        while True:
            with self._lock:
                jail = self._idle.pop() if self._idle else None
            if jail is None:
                break
            if jail.is_alive() and not (jail.group is not None and jail.group.has_leftovers()):
                return jail
            jail.kill()
        return self._starter.submit(self._start_jail, limits).result()

    def _start_jail(self, limits: Limits) -> Jail:
        self._count += 1
        group = None if self._groups is None else self._groups.make()
        blueprint = self._blueprint
        if not blueprint.nested:
            blueprint = replace(blueprint, disk_bytes=limits.file_bytes)
        try:
            jail = Jail(blueprint, group, self._count)
        except SandboxError:
            if group is not None:
                group.remove()
            raise
        jail.start()
        return jail

    def _give_back(self, jail: Jail) -> None:
        with self._lock:
            self._idle.append(jail)

    def describe(self) -> Mapping[str, str]:
        """See Executor."""
        return self._layers

    def _end(self) -> None:
        for jail in self._idle:
            jail.kill()
        self._starter.shutdown()
        if self._groups is not None:
            self._groups.close()


def _converse(jail: Jail, request: Request) -> tuple[dict[str, Any], list[bytes]] | None:
    """Return the keeper's answer; None if it was killed, which only the kernel's want of memory does, or is stuck."""
    try:
        return jail.run(request)
    except (EOFError, OSError):
        return None


def _keeper_bytes(request: Request) -> int:
    """What keeper and supervisor hold of a run beside the program: its data on the way in and out."""
    data = len(request.stdin) + sum(map(len, request.files.values()))
    return _KEEPER_BYTES + 3 * data + 4 * request.output_bytes
