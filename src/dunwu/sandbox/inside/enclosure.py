"""The enclosure of one program: fresh namespaces, private disk, no capabilities, filtered system calls.

Runs inside the sandbox; the standard library only. A `NestedEnclosure` is made for each run inside a jail that many runs use one
after the other; a `GivenEnclosure` is a place that whoever started the keeper has made for this run alone. A keeper for one
program is started anew for each: what it imports, each program waits for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable

from dunwu.sandbox.inside import syscalls
from dunwu.sandbox.inside.processes import read_descendants

_MOST_FILES = 16384


class NestedEnclosure:
    """Namespaces of its own, of which the supervisor is the first process: no signal from inside reaches it."""

    work = "/work"
    own_processes = 1  # the supervisor is in the program's user namespace

    def __init__(self, install_filter: Callable[[], None] | None, user: int, group: int) -> None:
        self.install_filter = install_filter
        self.user = user
        self.group = group

    def fork(self) -> int:
        """Fork the supervisor into new namespaces."""
        return syscalls.fork_into_namespaces(syscalls.ALL_NAMESPACES)

    def enter(self, file_bytes: int) -> None:
        """Furnish the new namespaces: the user, an empty private disk of `file_bytes` bytes, a loopback device, /proc."""
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{self.user} {self.user} 1"),
            ("gid_map", f"{self.group} {self.group} 1"),
        ):
            fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(fd, text.encode())
            os.close(fd)
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        options = f"size={file_bytes},nr_inodes={_MOST_FILES},mode=755"
        syscalls.mount("private", "/mnt", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, options)
        for name, target in (("work", "/work"), ("tmp", "/tmp"), ("shm", "/dev/shm")):
            os.mkdir(f"/mnt/{name}", 0o755)
            syscalls.mount(f"/mnt/{name}", target, None, syscalls.MS_BIND)
        # /mnt stays: it shows the program nothing but these folders, and the kernel takes its time to unmount
        hidden = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
        try:
            syscalls.mount("proc", "/proc", "proc", hidden, "subset=pid")
        except OSError:  # some kernels and containers forbid it; then the program has an empty /proc
            syscalls.mount("none", "/proc", "tmpfs", hidden, "size=4k,mode=555")
        syscalls.raise_loopback()
        socket.sethostname("sandbox")

    def confine(self) -> None:
        """Take from the supervisor, and so from the program, what could be misused."""
        syscalls.drop_capabilities()
        syscalls.forbid_new_privileges()
        syscalls.set_dumpable(False)

    def filter_calls(self) -> None:
        """From here on, only system calls that programs need."""
        if self.install_filter is not None:
            self.install_filter()

    def kill_all(self, proc_fd: int) -> None:
        """End every process of the run and wait until all are gone."""
        _kill_until_gone(lambda: [-1])

    def leave(self) -> None:
        """The namespaces vanish with their last process, and the disk with them."""


class GivenEnclosure:
    """A place made from outside for one run: a jail, a container, or, where there is no isolation, a temporary folder.

    `work` is the program's folder; empty: make one for the run. `count_processes`: whether the kernel counts the processes of
    this place apart from the user's others.
    """

    def __init__(self, work: str, count_processes: bool, install_filter: Callable[[], None] | None) -> None:
        self.work = work
        self.temporary = not work
        self.own_processes = (
            1 if count_processes else -1
        )  # those of the keeper; -1: do not bound what others have a part in
        self.install_filter = install_filter

    def enter(self, file_bytes: int) -> None:
        """Take in what the program leaves behind; make its folder, if there is none."""
        syscalls.adopt_orphans()
        if self.temporary:
            import tempfile

            self.work = tempfile.mkdtemp(prefix="dunwu-unsafe-")

    def confine(self) -> None:
        """Nothing is left to take away but a look into the keeper."""
        syscalls.forbid_new_privileges()
        syscalls.set_dumpable(False)

    def filter_calls(self) -> None:
        """From here on, only system calls that programs need, where whoever made the place wants that on top of its own."""
        if self.install_filter is not None:
            self.install_filter()

    def kill_all(self, proc_fd: int) -> None:
        """End every descendant, also those that left their session or lost their parent."""
        # as the first process, everyone else here belongs to the program
        everyone = os.getpid() == 1
        _kill_until_gone(lambda: [-1] if everyone else list(read_descendants(proc_fd, os.getpid())))

    def leave(self) -> None:
        """Remove the folder, if it was made for the run."""
        if self.temporary:
            import shutil

            shutil.rmtree(self.work, ignore_errors=True)


def _kill_until_gone(targets: Callable[[], list[int]]) -> None:
    """Kill and reap until there is no child any more; once would do but for a fork at the same moment."""
    while True:
        for pid in targets():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)
