"""What the system call filter lets through, tried by real calls in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dunwu.errors import DependencyError
from dunwu.sandbox import filters
from dunwu.sandbox.filters import compile_filter

CALL = """
import ctypes, errno, os, sys
sys.path.insert(0, {source!r})
from dunwu.sandbox.inside.syscalls import forbid_new_privileges, seccomp_installer
libc = ctypes.CDLL(None, use_errno=True)
install = seccomp_installer(sys.stdin.buffer.read())
forbid_new_privileges()
install()
for line in {calls!r}:
    number, *arguments = line
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(a) for a in arguments))
    if number == 56 and result == 0:  # the child
        os._exit(0)
    print(0 if result >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
"""


def outcomes(program: bytes, calls) -> list[str]:
    """What each call returns in a process under the filter: 0, or the name of its error."""
    code = CALL.format(source=str(filters.__file__).partition("/dunwu/sandbox")[0], calls=list(calls))
    done = subprocess.run(
        [sys.executable, "-c", code], input=program, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split()


SIGCHLD = 17
DENIED = {
    "ptrace traceme": (101, 0, 0, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, 0, 0, 0),
    "keyctl": (250, 0, 0, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, 0, 0),
    "pivot_root": (155, 0, 0),
    "move_mount": (429, 0, 0, 0, 0, 0),
    "unshare user": (272, 0x10000000),
    "setns": (308, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "userfaultfd": (323, 0),
    "io_uring_setup": (425, 1, 0),
    "open_by_handle_at": (304, 0, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0),
    "setuid": (105, 0),
    "inotify_init": (253,),
    "notify of a folder's changes": (72, 0, 1026, 0),
    "personality": (135, 0xFFFFFFFF),
    "modify_ldt": (154, 0, 0, 0),
    "clone user": (56, 0x10000000 | SIGCHLD, 0, 0, 0, 0),
    "clone network": (56, 0x40000000 | SIGCHLD, 0, 0, 0, 0),
    "clone mount": (56, 0x00020000 | SIGCHLD, 0, 0, 0, 0),
    "clone3": (435, 0, 0),
    "socket netlink": (41, 16, 3, 0),
    "socket packet": (41, 17, 3, 0),
    "socket vsock": (41, 40, 1, 0),
    "socket alg": (41, 38, 5, 0),
    "socket raw": (41, 2, 3, 1),
    "socket sctp": (41, 2, 1, 132),
    "socket with hidden bits": (41, (1 << 32) | 16, 3, 0),
    "TIOCSTI": (16, 0, 0x5412, 0),
    "TIOCSTI with hidden bits": (16, 0, (1 << 32) | 0x5412, 0),
    "limits of another": (302, 1, 0, 0, 0),
    "own core dump": (302, 0, 4, 1, 0),
    "own core dump, the older way": (160, 4, 1),
    "priority of another": (141, 0, 1, 5),
    "priority of the user": (141, 2, 0, 5),
    "an unknown call": (999,),
}  # fmt: skip
ALLOWED = {
    "getpid": (39,),
    "socket tcp": (41, 2, 1, 6),
    "socket udp, close on exec": (41, 10, 2 | 0o2000000, 0),
    "socket unix": (41, 1, 1, 0),
    "own limits": (302, 0, 7, 0, 0),
    "own limits to change": (160, 7, 0),
    "own core dump to look at": (302, 0, 4, 0, 0),
    "own priority": (141, 0, 0, 5),
    "clone": (56, SIGCHLD, 0, 0, 0, 0),
    "memfd": (319, 0, 0),
    "getrandom": (318, 0, 0, 0),
    "eventfd": (290, 0, 0),
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    subprocess.run(["uname", "-m"], capture_output=True, check=True).stdout != b"x86_64\n",
    reason="the numbers of system calls are those of x86_64",
)


def test_programs_get_what_they_need_and_nothing_dangerous():
    program = compile_filter("program")
    found = dict(
        zip({**DENIED, **ALLOWED}, outcomes(program, [*DENIED.values(), *ALLOWED.values()]), strict=True)
    )
    assert {name for name in DENIED if found[name] not in ("EPERM", "ENOSYS")} == set()
    assert {found[name] for name in ALLOWED} <= {"0", "EFAULT"}, found
    assert found["an unknown call"] == found["clone3"] == "ENOSYS"


def test_the_keeper_may_make_namespaces_and_still_nothing_dangerous():
    program = compile_filter("zygote")
    names = [
        "ptrace traceme",
        "bpf",
        "keyctl",
        "io_uring_setup",
        "socket vsock",
        "kexec_load",
        "limits of another",
    ]
    assert set(outcomes(program, [DENIED[name] for name in names])) <= {"EPERM", "ENOSYS"}
    assert outcomes(program, [DENIED["unshare user"]]) == ["0"]


def test_a_keeper_sets_limits_but_makes_no_namespaces():
    found = outcomes(
        compile_filter("keeper"), [DENIED["own core dump"], DENIED["unshare user"], DENIED["clone user"]]
    )
    assert found == ["EFAULT", "EPERM", "ENOSYS"]


def test_where_memory_is_not_bound_none_can_be_hoarded():
    hoards = {
        "memfd_create": (319, 0, 0),
        "shmget": (29, 0, 4096, 0o1600),
        "semget": (64, 0, 1, 0o1600),
        "msgget": (68, 0, 0o1600),
    }
    assert set(outcomes(compile_filter("program", hoards=False), hoards.values())) == {"EPERM"}
    assert "EPERM" not in outcomes(compile_filter("program"), hoards.values())


def test_without_the_library_its_name_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    with pytest.raises(DependencyError, match=r"libseccomp2.*pyseccomp"):
        filters.seccomp_library()
