"""The attacking programs and what their heads say."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dunwu.sandbox.records import Limits

PROGRAMS = Path(__file__).parent / "programs"
KIT = {name: (PROGRAMS / name).read_bytes() for name in ("attack.py", "attack.hpp", "attack.js")}
HOSTILE = Limits(
    cpu_seconds=2,
    wall_seconds=6,
    memory_bytes=256 * 2**20,
    output_bytes=2**20,
    processes=32,
    file_bytes=32 * 2**20,
)
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
USUAL, WITHOUT_GROUPS, WITHOUT_NESTING = "usual", "without control groups", "without nesting"
SETTINGS = {
    USUAL: ("",),
    WITHOUT_GROUPS: ("resources/", "javascript/heap", "processes/busy"),
    WITHOUT_NESTING: (
        "zygote/",
        "files/output",
        "processes/kill",
        "processes/stop",
        "reading/memory",
        "reading/inherited",
    ),
}
"""The usual sandbox of this machine, and what stands in for it where the kernel gives less. All attacks are made on each; those
whose names begin so are not marked slow."""
PROGRAM_OF = {"py": "python3", "cpp": "g++", "js": "node"}


def is_here(attack: Attack) -> bool:
    """Whether this machine has what its language needs."""
    return shutil.which(PROGRAM_OF[attack.language]) is not None


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
