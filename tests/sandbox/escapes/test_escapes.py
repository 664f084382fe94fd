"""Programs that try to get out of the sandbox, each run through the real executor; none may succeed.

Each file under programs/ says at its head what it tries, what counts as an escape, how its run may end, and what shows that
the attempt is real: the same program escaping outside of the sandbox (`control: outside`), or a mild form of it ending by
itself inside (`control: mild ROUNDS`). All run beside each other and beside honest programs, a few at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import psutil
import pytest

from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Command, Execution, Limits

PROGRAMS = Path(__file__).parent / "programs"
KIT = {name: (PROGRAMS / name).read_bytes() for name in ("attack.py", "attack.hpp", "attack.js")}
PLACES = 4
HOSTILE = Limits(
    cpu_seconds=2,
    wall_seconds=6,
    memory_bytes=256 * 2**20,
    output_bytes=2**20,
    processes=32,
    file_bytes=32 * 2**20,
)
BUILD = Limits(cpu_seconds=20, wall_seconds=60, memory_bytes=2**30, processes=64, file_bytes=64 * 2**20)
UNITS = {"cpu": "cpu_seconds", "wall": "wall_seconds", "memory": "memory_bytes", "output": "output_bytes",
         "file": "file_bytes", "processes": "processes"}  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """A program, and what its head says."""

    path: Path
    head: Mapping[str, str]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(PROGRAMS))

    @property
    def language(self) -> str:
        return self.path.suffix[1:]

    @property
    def outcomes(self) -> list[str]:
        return self.head.get("outcome", "exited").split()

    @property
    def through(self) -> list[str]:
        """What it goes through: a run, a `compile` whose outputs it lays, or the compiler that reads it."""
        return self.head.get("through", "run").split()

    @property
    def limits(self) -> Limits:
        given = dict(part.split("=") for part in self.head.get("limits", "").split())
        changes: dict[str, Any] = {
            UNITS[name]: type(getattr(HOSTILE, UNITS[name]))(value) for name, value in given.items()
        }
        return replace(HOSTILE, **changes)

    def stdin(self, targets: Mapping[str, Any]) -> bytes:
        if "input" in self.head:
            return b"x" * int(self.head["input"])
        return json.dumps(targets).encode()

    def files(self, targets: Mapping[str, Any]) -> dict[str, bytes]:
        kit = f"attack.{'hpp' if self.language == 'cpp' else self.language}"
        files = {f"main.{self.language}": self.path.read_bytes(), kit: KIT[kit]}
        if self.language == "cpp":
            files["targets.hpp"] = macros(targets)
        return files


def macros(targets: Mapping[str, Any]) -> bytes:
    """The targets as macros for C++."""
    flat = {f"canary_{place}": path for place, path in targets["canaries"].items()} | dict(targets)
    lines = [
        f"#define {name.upper()} {json.dumps(value)}" for name, value in flat.items() if name != "canaries"
    ]
    return "\n".join([*lines, ""]).encode()


def read_head(path: Path) -> dict[str, str]:
    """The comment at the head of a program, as `name: value` lines; a line that goes on is indented."""
    head: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        mark = "//" if path.suffix != ".py" else "#"
        if not line.startswith(f"{mark} "):
            break
        text = line.removeprefix(mark)
        if text.startswith("  "):
            head[list(head)[-1]] += " " + text.strip()
        else:
            name, value = text.strip().split(": ", 1)
            head[name] = value
    return head


ATTACKS = [
    Attack(path, read_head(path))
    for path in sorted(PROGRAMS.glob("*/*.*"))
    if path.suffix in (".py", ".cpp", ".js")
]
WAYS = [
    (attack, way)
    for attack in ATTACKS
    for way in ("plain", "fast")
    if way == "plain" or (attack.language == "py" and attack.through == ["run"])
]
PROGRAM_OF = {"py": "python3", "cpp": "g++", "js": "node"}


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
    attacks_compiler = attack.through == ["compiler"]
    execution, outputs = executor.compile(command, attack.limits if attacks_compiler else BUILD, ["main"])
    shown = execution.stdout + execution.stderr
    if not attacks_compiler:
        assert execution.exit_code == 0, f"{attack.name} does not compile: {shown.decode(errors='replace')}"
    if "main" in outputs:
        run = executor.run(Command(("./main",), stdin, {"main": outputs["main"]}), attack.limits)
        shown += run.stdout + run.stderr
        execution = execution if attacks_compiler else run
    return Result(execution, shown, outputs if attacks_compiler else {})


def escapes_in(result: Result, attack: Attack, host: Any) -> list[str]:
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


def check_ending(attack: Attack, execution: Execution, limits: Limits) -> None:
    """The run ended as the attack's head allows, and within its limits."""
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
    if execution.peak_memory_bytes is not None:
        assert (
            execution.peak_memory_bytes <= limits.memory_bytes + 64 * 2**20
        )  # what watches it is counted too


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

    def __init__(self, executor: Executor, host: Any, jobs: list[tuple[Attack, str]]) -> None:
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


@pytest.fixture(scope="module")
def executor(machine: Any, stage: Any, adopting_orphans: None) -> Iterator[Executor]:
    """The sandbox, opened while the host holds its secrets; `machine.before` is how everything was just before."""
    machine.before = machine.picture()
    with open_executor(BubblewrapSandbox(max_parallel=PLACES)) as opened:
        yield opened


@pytest.fixture(scope="module")
def campaign(request: pytest.FixtureRequest, executor: Executor, stage: Any) -> Campaign:
    calls = [item.callspec.params for item in request.session.items if isinstance(item, pytest.Function) and
             item.originalname == "test_does_not_get_out"]  # fmt: skip
    jobs = [(call["attack"], call["way"]) for call in calls]
    return Campaign(executor, stage, [job for job in jobs if shutil.which(PROGRAM_OF[job[0].language])])


def need(attack: Attack, *more: str) -> None:
    """Skips where this machine lacks what a run of the attack, or its control, needs."""
    if not shutil.which(PROGRAM_OF[attack.language]):
        pytest.skip(f"no {PROGRAM_OF[attack.language]} on this machine")
    for name in more:
        if not HAS[name]():
            pytest.skip(f"outside of the sandbox this needs: {name}")


def has_capabilities() -> bool:
    """The rights of an administrator that some attacks need: they are the ones a sandbox run by one must not pass on."""
    dac_override, dac_read_search, setuid, net_raw, sys_module, sys_rawio, sys_chroot = (
        1,
        2,
        7,
        13,
        16,
        17,
        18,
    )
    sys_ptrace, sys_admin, sys_nice, mknod = 19, 21, 23, 27
    needed = (dac_override, dac_read_search, setuid, net_raw, sys_module, sys_rawio, sys_chroot)
    status = Path("/proc/self/status").read_text()
    held = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
    return all(held >> number & 1 for number in (*needed, sys_ptrace, sys_admin, sys_nice, mknod))


HAS = {
    "root": has_capabilities,
    "ipv6": lambda: Path("/proc/net/if_inet6").exists() and "lo" in Path("/proc/net/if_inet6").read_text(),
    "interface": lambda: any(name != "lo" for _, name in socket.if_nameindex()),
    "keys": lambda: Path("/proc/keys").exists(),
    "ipc": lambda: Path("/proc/sysvipc").exists(),
    "int80": lambda: Path("/proc/sys/abi/vsyscall32").exists(),
    "io_uring": lambda: Path("/proc/sys/kernel/io_uring_disabled").read_text() == "0\n",
    "cgroups": lambda: any(
        os.access(path, os.W_OK) for path in Path("/sys/fs/cgroup").glob("**/cgroup.procs")
    ),
}


def ids(values: list[Any]) -> list[str]:
    return ["-".join((v[0].name, v[1])) if isinstance(v, tuple) else v.name for v in values]


def marked(attack: Attack, way: str) -> Any:
    """A program that still gets out says so at its head, and fails the suite the day that it no longer does."""
    marks = (
        [pytest.mark.xfail(strict=True, reason=f"open: {attack.head['open']}")]
        if "open" in attack.head
        else []
    )
    return pytest.param(attack, way, marks=marks, id=f"{attack.name}-{way}")


def test_the_suite_is_large_and_every_program_says_what_it_does():
    assert len(ATTACKS) >= 60
    assert {attack.language for attack in ATTACKS} == {"py", "cpp", "js"}
    for attack in ATTACKS:
        assert {"tries", "escape", "control"} <= set(attack.head), attack.name
        assert attack.head["control"].split()[0] in ("outside", "mild", "none:"), attack.name


@pytest.mark.parametrize(("attack", "way"), [marked(attack, way) for attack, way in WAYS])
def test_does_not_get_out(attack: Attack, way: str, campaign: Campaign, stage: Any) -> None:
    need(attack)
    result = campaign.results[attack.name, way].result(timeout=240)
    assert escapes_in(result, attack, stage) == []
    check_ending(attack, result.execution, attack.limits)
    killed_with_its_output = result.execution.outcome == "memory" and attack.head["control"].startswith(
        "mild"
    )
    if attack.through != ["compiler"] and not killed_with_its_output:
        assert b"TRIED" in result.shown, (
            f"it never came to try: {result.shown[-600:]!r} {result.execution.detail}"
        )


OUTSIDE = [attack for attack in ATTACKS if attack.head["control"] == "outside"]


@pytest.mark.parametrize("attack", OUTSIDE, ids=ids(OUTSIDE))
def test_outside_of_the_sandbox_it_does(attack: Attack, sacrifice: Any, tmp_path: Path) -> None:
    need(attack, *attack.head.get("needs", "").split())
    targets = sacrifice.targets(attack.name)
    for name, content in attack.files(targets).items():
        (tmp_path / name).write_bytes(content)
    options: dict[str, Any] = {
        "cwd": tmp_path,
        "capture_output": True,
        "timeout": 60,
        "close_fds": False,
        "env": os.environ | sacrifice.environment(),
    }
    shown = b""
    program = {"py": [sys.executable, "main.py"], "js": ["node", "main.js"], "cpp": ["./main"]}[
        attack.language
    ]
    if attack.language == "cpp":
        shown += subprocess.run(["g++", "-pthread", "-o", "main", "main.cpp"], **options).stderr
    if attack.language != "cpp" or (tmp_path / "main").exists():
        done = subprocess.run(program, input=attack.stdin(targets), **options)
        shown += done.stdout + done.stderr
    time.sleep(0.2)  # until the host has heard what was sent
    nothing = Execution("exited", 0, None, b"", b"", 0.0, 0.0, None)
    signs = escapes_in(Result(nothing, shown, {}), attack, sacrifice) + sacrifice.harm()
    assert signs, f"the attack is no attack: {shown.decode(errors='replace')}"


MILD = [(attack, way) for attack, way in WAYS if attack.head["control"].startswith("mild")]


@pytest.mark.parametrize(("attack", "way"), MILD, ids=ids(MILD))
def test_a_mild_form_ends_by_itself(attack: Attack, way: str, executor: Executor, stage: Any) -> None:
    need(attack)
    rounds = int(attack.head["control"].split()[1])
    result = attack_through(executor, attack, way, stage.targets(attack.name, rounds))
    assert (result.execution.outcome, result.execution.exit_code) == ("exited", 0), result
    assert escapes_in(result, attack, stage) == []


PROBE = (PROGRAMS / "probe.py").read_text(encoding="utf-8")
SUCCESSORS = [
    attack for attack, way in WAYS if way == "fast" and attack.name.startswith(("zygote/", "writing/"))
]


@pytest.fixture(scope="module")
def single(machine: Any, stage: Any) -> Iterator[Executor]:
    """A sandbox with one place, so that each run follows the last in the same machinery."""
    with open_executor(BubblewrapSandbox(max_parallel=1)) as opened:
        yield opened


@pytest.mark.parametrize("attack", SUCCESSORS, ids=ids(SUCCESSORS))
def test_nothing_is_left_to_the_next_run(attack: Attack, single: Executor, stage: Any) -> None:
    def probe() -> Any:
        seen = single.run_python(PROBE, b"", {}, HONEST_LIMITS)
        assert (seen.outcome, seen.exit_code, seen.stderr) == ("exited", 0, b""), seen
        return json.loads(seen.stdout)

    before = probe()
    attack_through(single, attack, "fast", stage.targets(attack.name))
    assert [probe(), probe()] == [before, before]


def test_an_earlier_run_is_not_in_the_memory_of_the_next(single: Executor, stage: Any) -> None:
    secret = "EARLIER-" + f"SECRET-{os.urandom(8).hex()}"
    source = f"import sys\ntext = sys.stdin.read()\nprint({secret!r} == text)\n"
    for _ in range(3):
        done = single.run_python(source, secret.encode(), {"note.txt": secret.encode()}, HONEST_LIMITS)
        assert done.stdout == b"True\n", done
    attack = next(attack for attack in ATTACKS if attack.name == "zygote/scan_memory.py")
    result = attack_through(single, attack, "fast", stage.targets(attack.name))
    assert b"MiB of own memory" in result.shown
    assert escapes_in(result, attack, stage) == []


@pytest.mark.xfail(
    strict=True, reason="open: files read by earlier runs raise the limit on memory of later ones"
)
def test_memory_that_earlier_runs_left_charged_is_not_added_to_the_limit(
    single: Executor, stage: Any
) -> None:
    attacks = {attack.name: attack for attack in ATTACKS}
    reader, bomb = attacks["resources/page_cache.py"], attacks["resources/heap.py"]
    for _ in range(2):
        attack_through(single, reader, "fast", stage.targets(reader.name))
    result = attack_through(single, bomb, "fast", stage.targets(bomb.name))
    assert escapes_in(result, bomb, stage) == []
    assert result.execution.outcome == "memory"


def test_honest_programs_beside_the_attacks_are_unaffected(campaign: Campaign) -> None:
    campaign.finish()
    assert campaign.honest
    for run in campaign.honest:
        assert isinstance(run, Execution), run
        assert (run.outcome, run.exit_code, run.stdout) == ("exited", 0, HONEST_OUTPUT), run


def test_the_host_came_to_no_harm(campaign: Campaign, stage: Any) -> None:
    campaign.finish()
    assert stage.harm() == []
    assert campaign.most_processes <= (PLACES + 1) * (HOSTILE.processes + 8)


def test_the_machine_is_as_before(campaign: Campaign, executor: Executor, single: Executor, machine: Any, stage: Any,
                                  descendants: Any) -> None:  # fmt: skip
    campaign.finish()
    idle = len(descendants())
    executor.run_python("print()", b"", {}, HONEST_LIMITS)
    assert idle <= 8 * PLACES, "attacks left processes behind"
    executor.close()
    single.close()
    deadline = time.monotonic() + 10
    while (
        left := [process for process in descendants() if process.pid != stage.victim.pid]
    ) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert machine.picture() == machine.before
