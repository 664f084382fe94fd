"""Running attacks through the real executor, beside honest programs, and judging what came back."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

import psutil
import pytest
from escape_attacks import WITHOUT_GROUPS, WITHOUT_NESTING, Attack, is_here
from escape_host import Stage

import dunwu.sandbox.open
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.errors import SandboxError
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Command, Execution, Limits

PLACES = 4
BUILD = Limits(cpu_seconds=20, wall_seconds=60, memory_bytes=2**30, processes=64, file_bytes=64 * 2**20)


@dataclass(frozen=True)
class Result:
    """What a run, or several that belong together, left to judge."""

    execution: Execution
    shown: bytes
    outputs: Mapping[str, bytes]


def attack_through(executor: Executor, attack: Attack, way: str, targets: Mapping[str, Any]) -> Result:
    """Runs an attack the way it asks for."""
    files, stdin, limits = attack.files(targets), attack.stdin(targets), attack.limits
    if attack.language == "cpp":
        return compile_and_run(executor, attack, files, stdin)
    program = ("python3", "main.py") if attack.language == "py" else ("node", "main.js")
    if attack.through[0] == "compile":
        execution, outputs = executor.compile(Command(program, stdin, files), limits, attack.through[1:])
        return Result(execution, execution.stdout + execution.stderr, outputs)
    if way == "fast":
        source = files.pop("main.py").decode()
        execution = executor.run_python(source, stdin, files, limits)
    else:
        execution = executor.run(Command(program, stdin, files), limits)
    return Result(execution, execution.stdout + execution.stderr, {})


def compile_and_run(executor: Executor, attack: Attack, files: Mapping[str, bytes], stdin: bytes) -> Result:
    """Compiles, under honest limits unless the compiler is what is attacked, and runs what came of it."""
    command = Command(("g++", "-pthread", "-o", "main", "main.cpp"), files=files)
    if attack.through != ["compiler"]:
        execution = executor.run(
            Command(("./main",), stdin, {"main": compiled(executor, attack, command)}), attack.limits
        )
        return Result(execution, execution.stdout + execution.stderr, {})
    execution, outputs = executor.compile(command, attack.limits, ["main"])
    shown = execution.stdout + execution.stderr
    if "main" in outputs:
        run = executor.run(Command(("./main",), stdin, outputs), attack.limits)
        shown += run.stdout + run.stderr
    return Result(execution, shown, outputs)


_PROGRAMS: dict[tuple[bytes, ...], bytes] = {}


def compiled(executor: Executor, attack: Attack, command: Command) -> bytes:
    """The program, compiled in the sandbox when it is first asked for."""
    key = tuple(command.files.values())
    if key not in _PROGRAMS:
        execution, outputs = executor.compile(command, BUILD, ["main"])
        said = execution.stderr.decode(errors="replace")
        assert execution.exit_code == 0, f"{attack.name} does not compile: {execution.detail} {said}"
        _PROGRAMS[key] = outputs["main"]
    return _PROGRAMS[key]


def open_in(setting: str, places: int) -> Executor:
    """Opens the sandbox as on a machine without control groups, or without namespaces inside of namespaces."""
    verify = dunwu.sandbox.open.verify_isolation
    calls = []

    def refuse_first(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise SandboxError("no namespaces in namespaces")
        return verify(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        if setting == WITHOUT_GROUPS:
            patch.setattr(dunwu.sandbox.open, "find_hierarchies", lambda: ())
        if setting == WITHOUT_NESTING:
            patch.setattr(dunwu.sandbox.open, "verify_isolation", refuse_first)
        executor = dunwu.sandbox.open.open_executor(BubblewrapSandbox(max_parallel=places))
    layers = executor.describe()
    assert setting != WITHOUT_GROUPS or "control groups v" not in str(layers), layers
    assert setting != WITHOUT_NESTING or "jail of its own" in layers["start"], layers
    return executor


def escapes_in(result: Result, attack: Attack, host: Stage) -> list[str]:
    """Every sign in what came back that an attack got out."""
    found = [
        line for line in result.shown.decode(errors="replace").splitlines() if line.startswith("ESCAPED")
    ]
    for text in (result.shown, *result.outputs.values()):
        found += host.secrets_in(text)
    if attack.through[0] == "compile":
        found += [
            f"output {name} came back: {text[:80]!r}"
            for name, text in result.outputs.items()
            if text not in (b"plain", b"")
        ]
    found += [knock for knock in host.heard if attack.name in knock]
    return found


def check_ending(attack: Attack, execution: Execution, *, memory_is_bound: bool) -> None:
    """The run ended as the attack's head allows, and within its limits."""
    limits = attack.limits
    said = (
        f"{execution.outcome}, exit code {execution.exit_code}, signal {execution.signal}: {execution.detail}"
    )
    tail = execution.stderr[-600:].decode(errors="replace")
    assert execution.outcome in attack.outcomes, f"{said}\n{tail}"
    if "exit" in attack.head:
        assert execution.exit_code == int(attack.head["exit"]), f"{said}\n{tail}"
    elif attack.outcomes == ["exited"]:
        assert execution.exit_code == 0, f"{said}\n{tail}"
    assert len(execution.stdout) <= limits.output_bytes
    assert len(execution.stderr) <= limits.output_bytes
    if memory_is_bound and execution.peak_memory_bytes is not None:  # what watches it is counted too
        assert execution.peak_memory_bytes <= limits.memory_bytes + 64 * 2**20, execution.peak_memory_bytes


def bounds_memory(executor: Executor) -> bool:
    """Whether the kernel holds all processes of a program together to its memory at every moment."""
    return "control groups v" in executor.describe()["memory"]


HONEST = """
import os, sys, time
secret = sys.stdin.read()
for path in ("/work/mine.txt", "/tmp/mine.txt"):
    assert not os.path.exists(path), path
    with open(path, "w") as file:
        file.write(secret)
sieve = bytearray([1]) * 200_000
for number in range(2, 448):
    sieve[number * number :: number] = bytes(len(range(number * number, 200_000, number)))
time.sleep(0.3)
for path in ("/work/mine.txt", "/tmp/mine.txt"):
    with open(path) as file:
        assert file.read() == secret
print(sum(sieve) - 2, sorted(os.listdir("/tmp")), len(secret))
"""
SECRET = b"NEIGHBOUR-" + b"SECRET-" + os.urandom(8).hex().encode()
HONEST_OUTPUT = f"17984 ['mine.txt'] {len(SECRET)}\n".encode()
HONEST_LIMITS = Limits(
    cpu_seconds=10, wall_seconds=30, memory_bytes=128 * 2**20, processes=8, file_bytes=2**20
)


class Campaign:
    """Runs the attacks of the selected tests on a few threads, and honest programs beside them on one more."""

    def __init__(self, executor: Executor, host: Stage, jobs: list[tuple[Attack, str]]) -> None:
        self.executor, self.host = executor, host
        self.results: dict[tuple[str, str], Future[Result]] = {
            (attack.name, way): Future() for attack, way in jobs
        }
        self.honest: list[Execution | BaseException] = []
        self.most_processes = 0
        self._queue: Queue[tuple[Attack, str]] = Queue()
        for job in jobs:
            self._queue.put(job)
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._attack, daemon=True) for _ in range(PLACES - 1)]
        self._beside = [
            threading.Thread(target=work, daemon=True) for work in (self._run_honest, self._count_processes)
        ]
        for thread in (*self._threads, *self._beside):
            thread.start()

    def _attack(self) -> None:
        while True:
            try:
                attack, way = self._queue.get_nowait()
            except Empty:
                return
            future = self.results[attack.name, way]
            try:
                future.set_result(attack_through(self.executor, attack, way, self.host.targets(attack.name)))
            except BaseException as error:
                future.set_exception(error)

    def _run_honest(self) -> None:
        files = {"mine-too.txt": SECRET}
        while not self._done.is_set():
            try:
                self.honest.append(self.executor.run_python(HONEST, SECRET, files, HONEST_LIMITS))
                command = Command(("python3", "main.py"), SECRET, {**files, "main.py": HONEST.encode()})
                self.honest.append(self.executor.run(command, HONEST_LIMITS))
            except BaseException as error:
                self.honest.append(error)
                return

    def _count_processes(self) -> None:
        while not self._done.wait(0.3):
            self.most_processes = max(self.most_processes, len(psutil.Process().children(recursive=True)))

    def finish(self) -> None:
        """Waits until all attacks are over and stops the honest runs."""
        for thread in self._threads:
            thread.join(timeout=300)
            assert not thread.is_alive(), "an attack does not end"
        self._done.set()
        for thread in self._beside:
            thread.join(timeout=60)
            assert not thread.is_alive(), "an honest run does not end"


class Campaigns:
    """A campaign for each setting, begun when its first result is asked for."""

    def __init__(self, host: Stage, jobs: list[tuple[Attack, str, str]]) -> None:
        self._host, self._jobs = host, jobs
        self.begun: dict[str, Campaign] = {}

    def __getitem__(self, setting: str) -> Campaign:
        if setting not in self.begun:
            jobs = [
                (attack, way) for attack, way, where in self._jobs if where == setting and is_here(attack)
            ]
            self.begun[setting] = Campaign(open_in(setting, PLACES), self._host, jobs)
        return self.begun[setting]

    def finish(self) -> None:
        for campaign in self.begun.values():
            campaign.finish()

    def close(self) -> None:
        for campaign in self.begun.values():
            campaign.executor.close()
