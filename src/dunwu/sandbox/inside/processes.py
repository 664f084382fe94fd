"""What a sandboxed program's processes use, read from /proc by the keeper, which cannot be seen by them."""

from __future__ import annotations

import os

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def read_descendants(proc_fd: int, root: int) -> dict[int, tuple[float, int]]:
    """Return (CPU seconds with those of its reaped children, resident bytes) of every process below `root`.

    Args:
        proc_fd: an open /proc in which `root` has the number given.
    """
    parents: dict[int, int] = {}
    usage: dict[int, tuple[float, int]] = {}
    for name in os.listdir(proc_fd):
        if name.isdigit():
            fields = _read_stat(proc_fd, name)
            if fields:
                parents[int(name)] = int(fields[1])
                cpu = sum(int(field) for field in fields[11:15]) / _TICKS
                usage[int(name)] = (cpu, int(fields[21]) * _PAGE)
    return {pid: used for pid, used in usage.items() if _is_below(pid, root, parents)}


def read_resident_bytes(proc_fd: int, pid: int) -> int:
    """Return the resident bytes of a process; getrusage would tell the most that it ever had, before exec too."""
    return int(_read_stat(proc_fd, str(pid))[21]) * _PAGE


def _read_stat(proc_fd: int, name: str) -> list[bytes]:
    """Return the fields of a process's stat after its name (which may hold blanks and brackets); none if it is gone."""
    try:
        fd = os.open(f"{name}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
    except OSError:
        return []
    try:
        return os.read(fd, 4096).rpartition(b")")[2].split()
    except OSError:
        return []
    finally:
        os.close(fd)


def _is_below(pid: int, root: int, parents: dict[int, int]) -> bool:
    for _ in range(len(parents)):
        pid = parents.get(pid, 0)
        if pid == root:
            return True
        if pid == 0:
            return False
    return False
