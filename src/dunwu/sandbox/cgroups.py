"""Control groups that bound the memory, the processes and the share of the processor of one place of a sandbox.

Version 1 and version 2, below or beside dunwu's own group, where that may be written; nothing is asked of a service manager. A
place's group lives as long as the place; a janitor process removes the groups if dunwu is killed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_CONTROLLERS = ("memory", "pids", "cpu")
_REMOVE_SECONDS = 20.0
_LEFTOVER_BYTES = 16 * 2**20
_USAGE = {1: "memory.usage_in_bytes", 2: "memory.current"}
_JANITOR = """
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  left=
  for pattern in "$@"; do for folder in $pattern; do
    [ -d "$folder" ] && { rmdir "$folder" 2>/dev/null || left=1; }
  done; done
  [ -z "$left" ] && exit 0
  sleep 0.25
done
"""


@dataclass(frozen=True)
class Hierarchy:
    """A folder in which groups can be made, and the controllers that they have there."""

    folder: Path
    version: int
    controllers: frozenset[str]


def find_hierarchies() -> tuple[Hierarchy, ...]:
    """Return where groups can be made on this machine, at most one place for each controller; none where nothing may be
    written."""
    found: list[Hierarchy] = []
    missing = set(_CONTROLLERS)
    for hierarchy in _candidates():
        useful = hierarchy.controllers & missing
        if useful and _can_make_groups(hierarchy):
            found.append(Hierarchy(hierarchy.folder, hierarchy.version, frozenset(useful)))
            missing -= useful
    return tuple(found)


def _candidates() -> Iterator[Hierarchy]:
    """Name dunwu's own groups, and in version 2 the one above, since a group with processes may not have groups with
    controllers."""
    mounts = _read_mounts()
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if not names:
            mount = mounts.get("cgroup2")
            for folder in [] if mount is None else (_inside(mount, path), _inside(mount, path).parent):
                if mount is not None and folder.is_relative_to(mount):
                    yield Hierarchy(folder, 2, _enabled_controllers(folder))
        for name in set(names.split(",")) & set(_CONTROLLERS):
            if name in mounts:
                yield Hierarchy(_inside(mounts[name], path), 1, frozenset({name}))


def _inside(mount: Path, path: str) -> Path:
    """Return a group's folder; in a container the mount may show only what is below dunwu's group."""
    folder = mount / path.strip("/")
    return folder if folder.is_dir() else mount


def _read_mounts() -> dict[str, Path]:
    """Map "cgroup2", and the name of each version 1 controller, to where it is mounted."""
    mounts: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            mounts.setdefault("cgroup2", Path(before.split()[4]))
        if kind == "cgroup":
            for option in options.split(","):
                mounts.setdefault(option, Path(before.split()[4]))
    return mounts


def _enabled_controllers(folder: Path) -> frozenset[str]:
    try:
        available = (folder / "cgroup.controllers").read_text().split()
        enabled = (folder / "cgroup.subtree_control").read_text().split()
    except OSError:
        return frozenset()
    for name in set(available) & set(_CONTROLLERS) - set(enabled):
        with contextlib.suppress(OSError):  # refused where this group has processes of its own
            (folder / "cgroup.subtree_control").write_text(f"+{name}")
            enabled.append(name)
    return frozenset(enabled) & frozenset(_CONTROLLERS)


def _can_make_groups(hierarchy: Hierarchy) -> bool:
    """Try: make a group, move a process into it, remove it."""
    folder = hierarchy.folder / f"{_prefix(os.getpid())}-try"
    try:
        folder.mkdir()
    except OSError:
        return False
    child = subprocess.Popen(["/bin/sh", "-c", "read -r _"], stdin=subprocess.PIPE, env={}, cwd="/")
    try:
        (folder / "cgroup.procs").write_text(str(child.pid))
        return True
    except OSError:
        return False
    finally:
        child.communicate()
        _remove(folder)


def _prefix(pid: int) -> str:
    """Name groups after the process that made them, so that those of a process that is gone can be told."""
    return f"dunwu-{pid}-{int(psutil.Process(pid).create_time() * 100)}"


def _remove(folder: Path) -> None:
    """Remove a group, whose last process may still be on its way out."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.005)


def remove_stale_groups(hierarchies: tuple[Hierarchy, ...]) -> None:
    """Remove groups of processes that were killed together with their janitors."""
    for hierarchy in hierarchies:
        for folder in hierarchy.folder.glob("dunwu-*-*-*"):
            pid = folder.name.split("-")[1]
            alive = pid.isdigit() and psutil.pid_exists(int(pid))
            if pid.isdigit() and not (alive and folder.name.startswith(_prefix(int(pid)) + "-")):
                with contextlib.suppress(OSError):  # somebody else's, or removed meanwhile
                    folder.rmdir()


class Group:
    """One place's group in every hierarchy."""

    def __init__(self, hierarchies: tuple[Hierarchy, ...], name: str) -> None:
        self._folders = {
            controller: (hierarchy.folder / name, hierarchy.version)
            for hierarchy in hierarchies
            for controller in hierarchy.controllers
        }
        for folder, _ in self._folders.values():
            folder.mkdir(exist_ok=True)
        self._bytes_before = 0
        self._base_bytes: int | None = None
        self._bounds = (0, 0)
        self._kills_before = 0

    @property
    def bounds_memory(self) -> bool:
        """Whether the kernel holds the sum over all processes to a limit."""
        return "memory" in self._folders

    def add(self, pid: int) -> None:
        """Move a process into the group; what it starts from now on is in it too."""
        for folder in {folder for folder, _ in self._folders.values()}:
            (folder / "cgroup.procs").write_text(str(pid))

    def has_leftovers(self) -> bool:
        """Whether earlier runs have left more memory in the group than the kernel can drop at once to make room: it takes its
        time to free, say, what a namespace held."""
        if self._base_bytes is None:
            return False
        folder, version = self._folders["memory"]
        leftover = int(_read(folder / _USAGE[version])) - self._base_bytes
        if leftover <= _LEFTOVER_BYTES:
            return False
        lines = (folder / "memory.stat").read_text().splitlines()
        fields = {name.removeprefix("total_"): int(value) for name, value in map(str.split, lines)}
        return leftover - fields["active_file"] - fields["inactive_file"] > _LEFTOVER_BYTES

    def start_run(self, *, memory_bytes: int, processes: int) -> None:
        """Set the bounds for a run, and forget the last run's peak.

        The memory that the group had before its first run, the keeper's, comes on top. What earlier runs have left in it, such
        as the cache of files that they read, does not: the kernel makes room there, and each run could else raise the next
        one's bound.
        """
        if "memory" in self._folders:
            folder, version = self._folders["memory"]
            self._bytes_before = int(_read(folder / _USAGE[version]))
        if (memory_bytes, processes) != self._bounds:
            self._set_bounds(memory_bytes, processes)
            self._bounds = (memory_bytes, processes)
        if "memory" in self._folders and version == 1:
            _write(folder / "memory.max_usage_in_bytes", "0")

    def _set_bounds(self, memory_bytes: int, processes: int) -> None:
        if "pids" in self._folders:
            folder, _ = self._folders["pids"]
            _write(folder / "pids.max", str(processes))
        if "memory" not in self._folders:
            return
        folder, version = self._folders["memory"]
        limit = str(memory_bytes + self._base())
        if version == 1:
            _set_v1_limits(folder, limit)
            return
        _write(folder / "memory.max", limit)
        if (folder / "memory.swap.max").exists():  # else the kernel does not account for swap
            _write(folder / "memory.swap.max", "0")

    def _base(self) -> int:
        """What the group had before its first run."""
        if self._base_bytes is None:
            self._base_bytes = self._bytes_before
        return self._base_bytes

    def has_killed(self) -> bool:
        """Whether the kernel has ended a process of this run for want of memory."""
        return "memory" in self._folders and self._kills() > self._kills_before

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has ended a process for want of memory since this was last asked."""
        if "memory" not in self._folders:
            return False
        before, self._kills_before = self._kills_before, self._kills()
        return self._kills_before > before

    @property
    def allowed_bytes(self) -> int:
        """What the run may have; 0 before the first one."""
        return self._bounds[0]

    def peak_bytes(self) -> int | None:
        """Most memory that the run had at a time; None where the kernel does not tell it for one run. Too low by what earlier
        runs had left where the kernel dropped that to make room."""
        if "memory" not in self._folders or self._folders["memory"][1] != 1:
            return None
        peak = int(_read(self._folders["memory"][0] / "memory.max_usage_in_bytes"))
        return max(0, peak - self._bytes_before)

    def _kills(self) -> int:
        folder, version = self._folders["memory"]
        name = "memory.oom_control" if version == 1 else "memory.events"
        fields = dict(line.split() for line in _read(folder / name).splitlines())
        return int(fields.get("oom_kill", 0))

    def remove(self) -> None:
        """Remove the group; its processes have ended."""
        for folder in {folder for folder, _ in self._folders.values()}:
            _remove(folder)


def _set_v1_limits(folder: Path, limit: str) -> None:
    """Set memory, and memory with swap, which may never be the lower one on the way."""
    both = [folder / "memory.limit_in_bytes", folder / "memory.memsw.limit_in_bytes"]
    if not both[1].exists():  # a kernel without swap accounting
        both.pop()
    if int(limit) > int(_read(both[0])):
        both.reverse()
    for path in both:
        _write(path, limit)


def _read(path: Path) -> str:
    """Read a control file; as this happens for every run, without the layers of open()."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 65536).decode()
    finally:
        os.close(fd)


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_TRUNC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


class Groups:
    """All groups of one executor, and the janitor that removes them should dunwu be killed."""

    def __init__(self, hierarchies: tuple[Hierarchy, ...]) -> None:
        self._hierarchies = hierarchies
        self._prefix = f"{_prefix(os.getpid())}-{id(self):x}"
        self._count = 0
        patterns = [f"{hierarchy.folder}/{self._prefix}.*" for hierarchy in hierarchies]
        self._janitor = subprocess.Popen(
            ["/bin/sh", "-c", _JANITOR, "dunwu-janitor", *patterns],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
        )

    def make(self) -> Group:
        """Make a group. Not to be called from two threads at once."""
        self._count += 1
        return Group(self._hierarchies, f"{self._prefix}.{self._count}")

    def close(self) -> None:
        """End the janitor, who finds nothing left to remove."""
        assert self._janitor.stdin is not None
        self._janitor.stdin.close()
        self._janitor.wait()
