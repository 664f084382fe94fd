"""What of the machine must be after all attacks as it was before."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import psutil


class Machine:
    """What of the machine must be after all attacks as it was before: two pictures are equal when nothing was left."""

    FOLDERS = (
        "/",
        "/etc",
        "/usr/bin",
        "/dev",
        "/dev/shm",
        "/tmp",
        "/var/tmp",
        "/run",
        "/root",
        str(Path.home()),
    )
    MARKS = (
        "hoard",
        "escape",
        "left_behind",
        "nnnnnnnn",
        "made_by",
        "dddddddd",
        "sitecustomize",
        "elsewhere",
        "nested",
    )
    SETTINGS = (
        "kernel/core_pattern",
        "kernel/hostname",
        "net/ipv4/ip_forward",
        "vm/overcommit_memory",
        "kernel/modprobe",
    )

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self.before: dict[str, Any] = {}
        self.descendants = frozenset(process.pid for process in living_descendants())
        """Living before the first attack: what tests of other rooms keep for the whole session."""

    def picture(self) -> dict[str, Any]:
        return {
            "mounts": sorted(Path("/proc/self/mountinfo").read_text().splitlines()),
            "names": (
                socket.gethostname(),
                os.getcwd(),
                {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
            ),
            "open files": self._open_files(),
            "temporary files": sorted(str(path) for path in self._temporary.rglob("*")),
            "marked files": self._marked_files(),
            "settings": {name: self._setting(name) for name in self.SETTINGS},
            "control groups": groups_of(os.getpid()),
            "process": (os.getpgrp(), os.getsid(0), os.nice(0), sorted(os.sched_getaffinity(0))),
            "limits": Path("/proc/self/limits").read_text(),
            "swap": Path("/proc/swaps").read_text(),
        }

    @staticmethod
    def _setting(name: str) -> str | None:
        path = Path("/proc/sys", name)
        return path.read_text() if path.exists() else None

    def _open_files(self) -> dict[str, str]:
        found = {}
        for fd in os.listdir("/proc/self/fd"):
            try:
                found[fd] = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:  # the listing's own
                continue
        return found

    def _marked_files(self) -> list[str]:
        """Files under names that the attacks use; the folders are the machine's and others write there too."""
        names = [
            os.path.join(folder, name)
            for folder in self.FOLDERS
            if os.path.isdir(folder)
            for name in os.listdir(folder)
        ]
        return sorted(name for name in names if any(mark in os.path.basename(name) for mark in self.MARKS))


def groups_of(pid: int) -> list[str]:
    """Control groups made by a process: their names hold its number."""
    found = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/*-{pid}-*/")]
    return sorted(set(found))


def living_descendants() -> list[psutil.Process]:
    """Living processes below this one; orphans come to it, since `adopting_orphans` made it their new parent."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
        except psutil.NoSuchProcess:
            continue
        found.append(process)
    return found
