"""Linux system calls that Python does not offer, through ctypes. Runs inside the sandbox; the standard library only."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Callable

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
ALL_NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 4, 22, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41

_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_holding_the_lock = ctypes.PyDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _prctl(option: int, a: int = 0, b: int = 0) -> int:
    result: int = _libc.prctl(option, a, b, 0, 0)
    return result


def fork_into_namespaces(flags: int) -> int:
    """Fork, as os.fork does, a child that is born in new namespaces, and so is the first process of a new process namespace.

    Raises:
        OSError: the kernel refuses, or this processor's system calls are not known here.
    """
    machine = os.uname().machine
    number = _CLONE.get(machine)
    if number is None:
        raise OSError(errno.ENOSYS, f"no clone() known for {machine}")
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid: int = _holding_the_lock.syscall(
        ctypes.c_long(number), ctypes.c_ulong(flags | signal.SIGCHLD), *(ctypes.c_long(0) for _ in range(4))
    )
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    python.PyOS_AfterFork_Parent()
    _check(min(pid, 0), "clone")
    return pid


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount `source` on `target`."""
    arguments = [None if text is None else text.encode() for text in (source, target, kind)]
    result = _libc.mount(*arguments, ctypes.c_ulong(flags), None if data is None else data.encode())
    _check(result, f"mount {target}")


def drop_capabilities() -> None:
    """Give up every capability, for this process and all that it starts."""
    number = 0
    while _prctl(_PR_CAPBSET_DROP, number) == 0:
        number += 1
    _prctl(_PR_CAP_AMBIENT, 4)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def forbid_new_privileges() -> None:
    """Make set-uid bits and file capabilities void for this process and all that it starts."""
    _check(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "no_new_privs")


def set_dumpable(yes: bool) -> None:
    """Say whether processes of the same user may look into this one."""
    _check(_prctl(_PR_SET_DUMPABLE, int(yes)), "dumpable")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    _check(_prctl(_PR_SET_CHILD_SUBREAPER, 1), "child subreaper")


def seccomp_installer(program: bytes) -> Callable[[], None]:
    """Return a function that installs a compiled BPF program as system call filter; prepared now, so that it allocates
    nothing when it is called."""

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    instructions = ctypes.create_string_buffer(program, len(program))
    filter_ = Filter(len(program) // 8, ctypes.cast(instructions, ctypes.c_void_p))
    address = ctypes.addressof(filter_)

    def install() -> None:
        assert filter_.length * 8 == len(instructions)  # and so both are still alive
        _check(_prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address), "seccomp")

    return install


def raise_loopback() -> None:
    """Switch on the loopback device of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP_RUNNING))
