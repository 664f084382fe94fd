"""Proves, with a program that tries to get out, that an executor isolates: a program's existence is not trusted."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dunwu.errors import SandboxError
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Limits

_LIMITS = Limits(cpu_seconds=20, wall_seconds=60, memory_bytes=256 * 2**20, processes=16)
_PROBE = """
import errno, json, os, socket, sys
given = json.loads(sys.stdin.read())
def try_out(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "worked"
def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as handle:
        handle.settimeout(2)
        handle.connect(address)
def write(path):
    with open(path, "w") as file:
        file.write("x")
def read_status():
    try:
        with open("/proc/self/status") as file:
            return dict(line.strip("\\n").split(":\\t", 1) for line in file)
    except OSError:
        return {}
status = read_status()
print(json.dumps({
    "tcp": try_out(lambda: connect(socket.AF_INET, ("127.0.0.1", given["port"]))),
    "unix": try_out(lambda: connect(socket.AF_UNIX, "\\0" + given["name"])),
    "internet": try_out(lambda: connect(socket.AF_INET, ("192.0.2.1", 80))),
    "seen": [path for path in given["hidden"] if os.path.lexists(path)],
    "written": [path for path in given["read_only"] if try_out(lambda: write(path + "/x")) == "worked"],
    "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getegid()],
    "parent": os.getppid(),
    "processes": [name for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc") else [],
    "environment": sorted(os.environ),
    "capabilities": [status.get(name, "0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "privileges": status.get("NoNewPrivs", "?"),
    "seccomp": status.get("Seccomp", "?"),
    "interpreter": sys.version.split()[0],
}))
"""


def verify_isolation(executor: Executor, *, visible: tuple[str, ...], seccomp: bool) -> dict[str, Any]:
    """Run a program that tries the network, this machine's files, other processes and a higher rank.

    Args:
        visible: paths of this machine that programs are meant to see.
        seccomp: whether system calls are to be filtered.
    Returns:
        What the program found out.
    Raises:
        SandboxError: it got somewhere; the message says where.
    """
    with _listening() as (port, name):
        given = {
            "port": port,
            "name": name,
            "hidden": _hidden_paths(visible),
            "read_only": ["/", "/usr", "/dev", "/etc"],
        }
        execution = executor.run_python(_PROBE, json.dumps(given).encode(), {}, _LIMITS)
    if execution.outcome != "exited" or execution.exit_code != 0:
        said = execution.stderr.decode(errors="replace")[-400:]
        raise SandboxError(f"the sandbox cannot run Python: {execution.outcome} {execution.detail} {said}")
    found: dict[str, Any] = json.loads(execution.stdout)
    leaks = find_leaks(found, seccomp=seccomp)
    if leaks:
        raise SandboxError(f"the sandbox does not isolate: {'; '.join(leaks)}")
    return found


def find_leaks(found: dict[str, Any], *, seccomp: bool) -> list[str]:
    """Say in words what a probe reached that it should not have reached."""
    leaks = [
        f"a program reached the network ({key})"
        for key in ("tcp", "unix", "internet")
        if found[key] == "worked"
    ]
    if found["seen"]:
        leaks.append(f"it saw {', '.join(found['seen'])}")
    if found["written"]:
        leaks.append(f"it wrote below {', '.join(found['written'])}")
    if 0 in found["ids"]:
        leaks.append("it ran as root")
    if len(found["processes"]) > 2:
        leaks.append(f"it saw {len(found['processes'])} processes")
    if any(int(mask, 16) for mask in found["capabilities"]):
        leaks.append(f"it had capabilities {found['capabilities']}")
    if found["privileges"] == "0":
        leaks.append("it could have gained privileges")
    if seccomp and found["seccomp"] not in ("2", "?"):
        leaks.append("its system calls were not filtered")
    return leaks


def _hidden_paths(visible: tuple[str, ...]) -> list[str]:
    """Name existing paths of this machine that no program may see."""
    places = [place for place in (Path.home(), Path.cwd()) if place != Path("/")]
    candidates = [place / name for place in places for name in _first_names(place)]
    candidates += [
        Path(__file__),
        *map(Path, ("/etc/shadow", "/etc/hostname", "/home", "/var", "/sys", "/run", "/boot")),
    ]
    candidates += [Path("/proc") / str(os.getpid()) / "environ"]
    return [
        str(path)
        for path in candidates
        if os.path.lexists(path) and not any(_overlap(path, Path(place)) for place in (*visible, "/usr"))
    ]


def _first_names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))[:20]
    except OSError:
        return []


def _overlap(a: Path, b: Path) -> bool:
    return a.is_relative_to(b) or b.is_relative_to(a)


@contextmanager
def _listening() -> Iterator[tuple[int, str]]:
    """Listen on a TCP port of this machine and on an abstract Unix socket; give their names."""
    name = f"dunwu-probe-{os.getpid()}-{threading.get_ident()}"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind("\0" + name)
        unix.listen()
        yield tcp.getsockname()[1], name
