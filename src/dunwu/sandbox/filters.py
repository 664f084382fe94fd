"""System call filters, compiled once through libseccomp and handed to the sandbox as BPF programs.

What programs need is listed; what is known to be dangerous fails with EPERM; what is in neither list, such as calls that are
newer than this file, fails with ENOSYS, which makes C libraries fall back to older calls.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Literal

from dunwu.errors import DependencyError

FilterUser = Literal["zygote", "keeper", "program"]


def _words(text: str) -> list[str]:
    return text.split()


_FILES = _words("""
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 open openat openat2 creat close close_range dup dup2
    dup3 lseek stat fstat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents getdents64 mkdir
    mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat chmod fchmod fchmodat fchmodat2 chown
    fchown lchown fchownat truncate ftruncate fallocate fsync fdatasync umask utime utimes utimensat futimesat getcwd chdir fchdir
    statfs fstatfs sendfile splice tee copy_file_range flock readahead fadvise64 getxattr lgetxattr fgetxattr listxattr
    llistxattr flistxattr mknod mknodat
""")
_MEMORY = _words("""
    mmap munmap mremap mprotect brk madvise msync mincore mlock munlock mlock2 mlockall munlockall membarrier get_mempolicy
    pkey_mprotect pkey_alloc pkey_free map_shadow_stack
""")
_PROCESSES = _words("""
    fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill getpid getppid gettid getuid geteuid getgid getegid
    getresuid getresgid getgroups getpgid getpgrp setpgid getsid setsid set_tid_address set_robust_list get_robust_list futex
    futex_waitv futex_wake futex_wait futex_requeue rseq sched_yield sched_getaffinity sched_getparam
    sched_getscheduler sched_get_priority_max sched_get_priority_min sched_getattr sched_rr_get_interval getpriority
    getcpu getrlimit getrusage times prctl arch_prctl uname sysinfo getrandom capget restart_syscall pidfd_open
    pidfd_send_signal
""")
_SIGNALS_AND_TIME = _words("""
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend
    sigaltstack signalfd signalfd4 pause alarm getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun
    timer_delete timerfd_create timerfd_settime timerfd_gettime eventfd eventfd2 nanosleep clock_nanosleep clock_gettime
    clock_getres gettimeofday time
""")
_WAITING_AND_TALKING = _words("""
    poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 pipe pipe2 bind
    listen accept accept4 connect getsockname getpeername sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown setsockopt
    getsockopt shmat shmdt shmctl semop semtimedop semctl msgsnd msgrcv msgctl
""")
_HOARDS = _words("memfd_create shmget semget msgget")
"""Calls that take memory which belongs to no process: only a control group can bound it."""
_NAMESPACES = _words("unshare setns mount umount2 pivot_root chroot sethostname capset seccomp")
_DANGEROUS = _words("""
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp bpf perf_event_open
    userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key kexec_load kexec_file_load
    init_module finit_module delete_module reboot swapon swapoff open_by_handle_at name_to_handle_at open_tree open_tree_attr
    move_mount fsopen fsconfig fsmount fspick mount_setattr statmount listmount setdomainname iopl ioperm modify_ldt
    settimeofday clock_settime adjtimex clock_adjtime acct quotactl quotactl_fd nfsservctl lookup_dcookie syslog vhangup
    fanotify_init fanotify_mark vmsplice personality setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid
    setgroups setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr mbind set_mempolicy migrate_pages move_pages
    sched_setscheduler sched_setparam sched_setattr ioprio_set memfd_secret mq_open mq_unlink sync syncfs
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
""")
_NEW_NAMESPACE_BITS = 0x7E020000  # every CLONE_NEW* flag that clone() knows
_INT = 0xFFFFFFFF  # the kernel looks at the lower half of an int argument only, and so must we
_LONG = 0xFFFFFFFFFFFFFFFF
_CORE, _LIMITS = 4, 16  # RLIMIT_CORE, and how many limits there are
_TYPE = 0xF  # the rest of socket()'s second argument are flags
_SOCKETS = (
    *(
        (socket.AF_UNIX, kind, None)
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
    ),
    *(
        (family, socket.SOCK_STREAM, number)
        for family in (socket.AF_INET, socket.AF_INET6)
        for number in (0, 6)
    ),
    *(
        (family, socket.SOCK_DGRAM, number)
        for family in (socket.AF_INET, socket.AF_INET6)
        for number in (0, 17)
    ),
)
_IOCTLS = {
    "TCGETS": 0x5401,
    "TCGETS2": 0x802C542A,
    "TIOCGPGRP": 0x540F,
    "TIOCGWINSZ": 0x5413,
    "FIONREAD": 0x541B,
    "FIONBIO": 0x5421,
    "FIONCLEX": 0x5450,
    "FIOCLEX": 0x5451,
    "FIOASYNC": 0x5452,
    "SIOCGIFCONF": 0x8912,
    "SIOCGIFFLAGS": 0x8913,
}
_SIOCSIFFLAGS = 0x8914
_FCNTLS = (
    *range(8),  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW
    *(9, 11, 16),  # who gets a file's signals; not to choose it
    *(36, 37, 38),  # locks of open files
    *range(1030, 1035),  # F_DUPFD_CLOEXEC, sizes of pipes, seals
)
"""Commands of fcntl. Not F_NOTIFY and F_SETLEASE, which, as inotify, tell of what others do with a file."""


def seccomp_library() -> ModuleType:
    """Return the module that compiles filters.

    Raises:
        DependencyError: it, or the system's libseccomp, is missing.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise DependencyError(
            f"system calls cannot be filtered: {error}; install libseccomp (Debian, Ubuntu: apt install libseccomp2; "
            "Fedora, Arch: libseccomp) and the Python package pyseccomp"
        ) from error
    module: ModuleType = pyseccomp
    return module


@cache
def compile_filter(user: FilterUser, *, hoards: bool = True) -> bytes:
    """Compile the filter.

    Args:
        user: who is under it. A "zygote" makes namespaces; a "keeper" does not, but sets limits; a "program", below either, is
            what a policy wrote.
        hoards: allow memory that belongs to no process, for where control groups bound it.
    Returns:
        A classic BPF program for this machine's architecture.
    Raises:
        DependencyError: the library is missing.
    """
    library = seccomp_library()
    rules = library.SyscallFilter(library.ERRNO(errno.ENOSYS))

    def allow(call: str, *conditions: tuple[int, int, int]) -> None:
        arguments = (library.Arg(index, library.MASKED_EQ, mask, value) for index, mask, value in conditions)
        rules.add_rule(library.ALLOW, call, *arguments)

    allowed = _FILES + _MEMORY + _PROCESSES + _SIGNALS_AND_TIME + _WAITING_AND_TALKING
    refused = list(_DANGEROUS)
    (allowed if hoards else refused).extend(_HOARDS)
    (allowed if user == "zygote" else refused).extend(_NAMESPACES)
    for call in _known(library, allowed):
        allow(call)
    for call in _known(library, refused):
        rules.add_rule(library.ERRNO(errno.EPERM), call)
    for conditional in (_allow_talking, _allow_own_settings):
        conditional(allow, user)
    with os.fdopen(os.memfd_create("filter", os.MFD_CLOEXEC), "w+b") as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _allow_talking(allow: Callable[..., None], user: FilterUser) -> None:
    """Allow calls of many uses for those that programs need."""
    for command in _FCNTLS:
        allow("fcntl", (1, _INT, command))
    for request in _IOCTLS.values():
        allow("ioctl", (1, _INT, request))
    for call in ("socket", "socketpair"):
        for family, kind, protocol in _SOCKETS:
            conditions = [(0, _INT, family), (1, _TYPE, kind)]
            allow(call, *conditions, *([] if protocol is None else [(2, _INT, protocol)]))
    if user == "zygote":
        allow("clone")
        allow("ioctl", (1, _INT, _SIOCSIFFLAGS))
    else:
        allow("clone", (0, _NEW_NAMESPACE_BITS, 0))


def _allow_own_settings(allow: Callable[..., None], user: FilterUser) -> None:
    """Allow a program to change its own limits, priority and processors, not those of the process that watches it; and not the
    size of its core dump, whose smallest bound keeps the kernel from starting this machine's crash handler, while 0 does not."""
    allow("sched_setaffinity", (0, _INT, 0))
    allow("setpriority", (0, _INT, 0), (1, _INT, 0))
    allow("prlimit64", (0, _INT, 0), (2, _LONG, 0))
    for limit in range(_LIMITS):
        if limit != _CORE or user != "program":
            allow("prlimit64", (0, _INT, 0), (1, _INT, limit))
            allow("setrlimit", (0, _INT, limit))


def _known(library: ModuleType, names: list[str]) -> list[str]:
    """Leave out what this machine's architecture, or the library, does not know."""
    return [name for name in names if library.resolve_syscall(library.Arch.NATIVE, name) >= 0]
