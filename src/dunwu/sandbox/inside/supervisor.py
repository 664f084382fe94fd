"""Runs one program in an enclosure, stops it at its limits, and tells how it ended.

The supervisor is the first process of the program's process namespace where it can be: the kernel keeps every signal from inside
away from it, and ends all others when it ends. It gives up its capabilities before the program starts, and cannot be looked into.

Runs inside the sandbox; the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import stat
import time
from typing import Any, NoReturn

from dunwu.sandbox.inside import program, syscalls
from dunwu.sandbox.inside.enclosure import GivenEnclosure, NestedEnclosure
from dunwu.sandbox.inside.processes import read_descendants, read_resident_bytes
from dunwu.sandbox.inside.request import Request

_TICK_SECONDS = 0.05
_START_SECONDS = 20.0
_START_FD = 3
_EXECUTABLE = (b"#!", b"\x7fELF")


class BecomeProgram(BaseException):
    """Raised in the process that is to run main.py, so that nothing of the keeper stays on its stack."""

    def __init__(self, request: Request, work: str, started_fd: int) -> None:
        super().__init__()
        self.arguments = request, work, started_fd


class Supervisor:
    """One run. `hangup_fd` becomes readable when the run is to end now."""

    def __init__(
        self, request: Request, enclosure: NestedEnclosure | GivenEnclosure, proc_fd: int, hangup_fd: int
    ) -> None:
        self.pid = os.getpid()
        self.request = request
        self.enclosure = enclosure
        self.proc_fd = proc_fd
        self.pid_there = int(
            os.readlink("self", dir_fd=proc_fd)
        )  # /proc may count from outside our namespace
        self.hangup_fd = hangup_fd
        self.stopped = ""  # the limit at which the program was stopped
        self.refusal = ""  # why it never started
        self.child = 0
        self.status: int | None = None
        self.started = self.ended = 0.0
        self.cpu_seconds = 0.0
        self.shared_bytes = 0
        self.own_bytes = (
            0  # most that the program's processes had together, without what they share with the keeper
        )
        self.output: dict[int, bytearray] = {}

    def run(self) -> tuple[dict[str, Any], list[bytes]]:
        """Run the program; return the header and the blobs (stdout, stderr, files left) of the answer."""
        try:
            return self._run()
        finally:
            if os.getpid() == self.pid:  # and not the program's process on its way out
                self.enclosure.leave()

    def _run(self) -> tuple[dict[str, Any], list[bytes]]:
        try:
            self.enclosure.enter(self.request.file_bytes)
            lay_files(self.request.files, self.enclosure.work)
        except OSError as error:
            return {"outcome": "refused", "detail": f"its files cannot be laid out: {error}"}, [b"", b""]
        if not self.request.argv:  # a fork shares what the keeper holds
            self.shared_bytes = read_resident_bytes(self.proc_fd, self.pid_there)
        self.enclosure.confine()
        out, err, start = (os.pipe() for _ in range(3))
        self.child = os.fork()
        if self.child == 0:
            self._become_program(out[1], err[1], start[1])
        for pair in (out, err, start):
            os.close(pair[1])
        self.output = {out[0]: bytearray(), err[0]: bytearray()}
        for fd in self.output:
            os.set_blocking(fd, False)
        self._watch(start[0], os.pidfd_open(self.child))
        self.enclosure.kill_all(self.proc_fd)
        if not self.started:  # it ended, or was stopped, before its start was looked at
            self._read_start(start[0])
        self._drain()
        return self._answer(*self.output.values())

    def _become_program(self, out: int, err: int, start: int) -> NoReturn:
        try:
            os.setsid()
            syscalls.set_dumpable(True)
            _be_first_to_go(self.proc_fd)
            os.chdir(self.enclosure.work)
            self._connect_streams(out, err, start)
            program.set_limits(self.request, self.enclosure.own_processes)
            self.enclosure.filter_calls()
        except OSError as error:
            os.write(start, f"it cannot be started: {error}".encode())
            os._exit(127)
        if self.request.argv:
            program.execute(self.request, _START_FD)
        raise BecomeProgram(self.request, self.enclosure.work, _START_FD)

    def _connect_streams(self, out: int, err: int, start: int) -> None:
        """Make stdin, stdout, stderr and the start pipe this process's only open files."""
        stdin = os.memfd_create("stdin", os.MFD_CLOEXEC)
        view = memoryview(self.request.stdin)
        while view:
            view = view[os.write(stdin, view) :]
        os.lseek(stdin, 0, os.SEEK_SET)
        spare = 64  # above all that is about to be overwritten
        for number, fd in enumerate((stdin, out, err, start)):
            os.dup2(fd, spare + number, inheritable=False)
        for number in range(_START_FD + 1):
            os.dup2(spare + number, number, inheritable=number < _START_FD)
        os.closerange(_START_FD + 1, 1 << 20)

    def _watch(self, start: int, child: int) -> None:
        """Collect output and watch the limits until the program has ended or has to be stopped."""
        poller = select.poll()
        for fd in (*self.output, start, child, self.hangup_fd):
            poller.register(fd, select.POLLIN)
        deadline = time.monotonic() + _START_SECONDS
        tick = time.monotonic() + _TICK_SECONDS
        while self.status is None and not self.stopped:
            pause = max(0.0, min(deadline, tick) - time.monotonic())
            for fd, _ in poller.poll(pause * 1000 + 1):
                if fd in self.output:
                    with contextlib.suppress(BlockingIOError):
                        if not self._collect(fd):
                            poller.unregister(fd)
                elif fd == start:
                    self._read_start(start)
                    poller.unregister(start)
                    deadline = self.started + self.request.wall_seconds
                elif fd == child:
                    self._reap()
                else:  # dunwu has hung up: it is gone, or it has seen the kernel end one of the processes
                    self.stopped = self.stopped or "memory"
            now = time.monotonic()
            if self.status is None and now >= deadline:
                self.stopped = self.stopped or "time"
            if self.status is None and now >= tick:
                self._reap()
                self._check_usage()
                tick = time.monotonic() + _TICK_SECONDS
        self.ended = time.monotonic()

    def _reap(self) -> None:
        """Take in processes that have ended: the program, and what it left behind."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == self.child:
                    self.status = status
                elif pid == 0:
                    return
        except ChildProcessError:
            return

    def _read_start(self, fd: int) -> None:
        """The pipe closes when the program starts; a text in it says why it could not."""
        self.started = time.monotonic()
        self.refusal = os.read(fd, 4096).decode(errors="replace")

    def _collect(self, fd: int) -> bool:
        """Read what there is on a stream; False at its end.

        Raises:
            BlockingIOError: there is nothing. A program can open the other end of its own pipe and take back what it wrote
                after poll has told of it; a read that waited would then wait as long as the program likes.
        """
        data = os.read(fd, 65536)
        buffer = self.output[fd]
        buffer += data
        if len(buffer) > self.request.output_bytes:
            self.stopped = self.stopped or "output"
            del buffer[self.request.output_bytes :]
        return bool(data)

    def _check_usage(self) -> None:
        usage = read_descendants(self.proc_fd, self.pid_there).values()
        resident = sum(max(0, rss - self.shared_bytes) for _, rss in usage)
        self.own_bytes = max(self.own_bytes, resident)
        # a chain of short-lived processes, each of which its child survives, shows nowhere but among the ended
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu_seconds = sum(cpu for cpu, _ in usage) + ended.ru_utime + ended.ru_stime
        if self.cpu_seconds > self.request.cpu_seconds:
            self.stopped = self.stopped or "time"
        elif 0 < self.request.resident_bytes < resident:
            self.stopped = self.stopped or "memory"

    def _drain(self) -> None:
        """Read what is left in the pipes; nobody writes to them any more."""
        for fd in self.output:
            try:
                while self._collect(fd):
                    if self.stopped == "output":
                        break
            except BlockingIOError:
                continue

    def _answer(self, stdout: bytearray, stderr: bytearray) -> tuple[dict[str, Any], list[bytes]]:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu_seconds = max(self.cpu_seconds, usage.ru_utime + usage.ru_stime)
        largest_bytes = usage.ru_maxrss * 1024
        self.own_bytes = max(self.own_bytes, largest_bytes - self.shared_bytes)
        outcome, exit_code, number, detail = self._judge()
        blobs = [bytes(stdout), bytes(stderr)]
        left = []
        for name in self.request.outputs:
            content = read_left(os.path.join(self.enclosure.work, name), self.request.file_bytes)
            if content is not None:
                left.append(name)
                blobs.append(content)
        started = self.started or self.ended
        return {
            "outcome": outcome,
            "exit_code": exit_code,
            "signal": number,
            "detail": detail,
            "wall_seconds": max(0.0, self.ended - started),
            "cpu_seconds": self.cpu_seconds,
            "peak_memory_bytes": max(self.own_bytes, largest_bytes),
            "left": left,
        }, blobs

    def _judge(self) -> tuple[str, int | None, int | None, str]:
        request = self.request
        if self.refusal:
            return "refused", None, None, self.refusal
        if self.stopped == "time" and not self.started:
            return "refused", None, None, f"it did not start within {_START_SECONDS:g} s"
        if self.stopped == "time" and self.ended - self.started >= request.wall_seconds:
            return "time", None, None, f"stopped at {request.wall_seconds:g} s"
        if self.stopped == "time" or (not self.stopped and self.cpu_seconds > request.cpu_seconds):
            return "time", None, None, f"used more than {request.cpu_seconds:g} s of processor time"
        if self.stopped == "output":
            return "output", None, None, f"wrote more than {request.output_bytes} bytes to a stream"
        if self.stopped == "memory" or 0 < request.resident_bytes < self.own_bytes:
            return "memory", None, None, "used more memory than allowed"
        assert self.status is not None, "it has neither ended nor been stopped"
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            return "signalled", None, number, signal.strsignal(number) or f"signal {number}"
        return "exited", os.WEXITSTATUS(self.status), None, ""


def lay_files(files: dict[str, bytes], folder: str) -> None:
    """Write the files below `folder`; those that the kernel can execute are made executable."""
    for name, content in files.items():
        path = os.path.join(folder, name)
        if "/" in name:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = 0o755 if content.startswith(_EXECUTABLE) else 0o644
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)


def read_left(path: str, most_bytes: int) -> bytes | None:
    """Return a regular file that the program left, or None: a link, a pipe or a device is not looked into."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        content = bytearray()
        while len(content) <= most_bytes:
            part = os.read(fd, 1 << 20)
            if not part:
                return bytes(content)
            content += part
        return None
    finally:
        os.close(fd)


def _be_first_to_go(proc_fd: int) -> None:
    """Ask the kernel to end this process, not the keeper, when memory runs out. The program cannot take that back: its own /proc
    is read-only."""
    try:
        fd = os.open("self/oom_score_adj", os.O_WRONLY, dir_fd=proc_fd)
    except OSError:  # the kernel chooses the largest, which is the program all the same
        return
    try:
        os.write(fd, b"1000")
    finally:
        os.close(fd)
