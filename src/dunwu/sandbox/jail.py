"""One bubblewrap jail with a keeper in it, seen from outside."""

from __future__ import annotations

import array
import contextlib
import logging
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dunwu.errors import SandboxError
from dunwu.sandbox.bundle import keeper_source
from dunwu.sandbox.cgroups import Group
from dunwu.sandbox.inside.messages import encode_message, read_message
from dunwu.sandbox.inside.request import Request
from dunwu.sandbox.jail_root import Interpreter, as_user, is_open_to_all, root_arguments, staged
from dunwu.sandbox.requests import SYSTEM_PATH, base_environment

_LOG = logging.getLogger(__name__)
_START_SECONDS = 60.0
_GRACE_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_FIRST_USER = 1_880_000_000  # above all that Linux distributions hand out
_INSIDE_USER = "1000"
_PASSWD = b"sandbox:x:1000:1000::/work:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
_GROUP = b"sandbox:x:1000:\nnogroup:x:65534:\n"
_UNSHARED = tuple(f"--unshare-{name}" for name in ("user", "ipc", "pid", "net", "uts", "cgroup-try"))
_CREDENTIALS = struct.Struct("3i")


def jail_environment(interpreter: Interpreter, python_path: tuple[str, ...]) -> dict[str, str]:
    """Return what the environment of programs in a jail holds."""
    prefix = interpreter.prefix
    env = base_environment(f"{prefix}/bin:{SYSTEM_PATH}" if prefix else SYSTEM_PATH)
    return {**env, "PYTHONPATH": ":".join(python_path)} if python_path else env


@dataclass(frozen=True)
class Blueprint:
    """How to build a jail.

    `env` is what most programs' environment holds. `outer_filter` holds from bubblewrap on, `inner_filter` from just before
    the program; empty: none. `nested`: the keeper makes namespaces for each run and serves many; else the jail is for one run,
    with private folders of `disk_bytes`.
    """

    bwrap: str
    interpreter: Interpreter
    paths: tuple[str, ...]
    python_path: tuple[str, ...]
    env: dict[str, str]
    outer_filter: bytes
    inner_filter: bytes
    nested: bool
    disk_bytes: int = 0

    @property
    def visible(self) -> tuple[str, ...]:
        """Paths of this machine, beside its programs and libraries, that programs see."""
        prefix = self.interpreter.prefix
        return (*self.paths, *self.python_path, *([prefix] if prefix else []))

    def command(self, read_only_fds: dict[str, int], keeper: str, user: int | None) -> list[str]:
        """Return the command that builds the jail and runs the keeper in it; `user`: as whom, where root builds it."""
        wanted = dict.fromkeys(self.visible)
        hidden = [] if user is None else [path for path in wanted if not is_open_to_all(path)]
        bound = {path: path for path in wanted if path not in hidden}
        bound.update({f"/mnt/{number}": path for number, path in enumerate(hidden)})
        command = [
            self.bwrap,
            *_UNSHARED,
            *("--uid", _INSIDE_USER, "--gid", _INSIDE_USER, "--hostname", "sandbox"),
            *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
            *("--clearenv", "--setenv", "LANG", "C.UTF-8", "--setenv", "PYTHONHASHSEED", "0"),
            *([] if self.nested else ["--as-pid-1"]),
        ]
        for path in ("/etc/passwd", "/etc/group"):
            command += ["--ro-bind-data", str(read_only_fds[path]), path]
        emptied = tuple(
            folder
            for folder in self.interpreter.site_packages
            if not any(Path(path).is_relative_to(folder) for path in self.python_path)
        )
        command += root_arguments(bound, emptied, None if self.nested else self.disk_bytes)
        if self.outer_filter:
            command += ["--seccomp", str(read_only_fds["filter"])]
        command += ["--", self.interpreter.program, "-S", "-s", "-B", "-c", keeper]
        if user is not None:
            command = as_user(user, command)
        return staged(hidden, command) if hidden else command


class Jail:
    """A running keeper. One thread uses it at a time."""

    def __init__(self, blueprint: Blueprint, group: Group | None, number: int) -> None:
        self.blueprint = blueprint
        self.group = group
        self.runs = 0
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._log = os.memfd_create("log", os.MFD_CLOEXEC)
        try:
            with theirs, _as_files(passwd=_PASSWD, group=_GROUP, filter=blueprint.outer_filter) as fds:
                read_only = {
                    "/etc/passwd": fds["passwd"],
                    "/etc/group": fds["group"],
                    "filter": fds["filter"],
                }
                user = _FIRST_USER + (os.getpid() % 2**20) * 64 + number % 64 if os.geteuid() == 0 else None
                keeper = keeper_source(theirs.fileno(), theirs.fileno())
                self._process = subprocess.Popen(
                    blueprint.command(read_only, keeper, user),
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=self._log,
                    pass_fds=[theirs.fileno(), *fds.values()],
                    cwd="/",
                    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                )
        except OSError as error:
            self._socket.close()
            os.close(self._log)
            raise SandboxError(f"the sandbox cannot be started: {error}") from error

    def start(self) -> None:
        """Greet the keeper, put it into its group, tell it how to run.

        Raises:
            SandboxError: it did not come up; the message holds what bubblewrap said.
        """
        try:
            self._socket.settimeout(_START_SECONDS)
            pid = self._receive_greeting()
            if self.group is not None:
                self.group.add(pid)
            nested = self.blueprint.nested
            settings = {
                "mode": "nested" if nested else "given",
                "python_path": self.blueprint.python_path,
                "env": self.blueprint.env,
                "work": "/work",
                "count_processes": True,
            }
            blobs = [self.blueprint.inner_filter] if self.blueprint.inner_filter else []
            self._socket.sendall(encode_message(settings, blobs))
            if nested:
                read_message(self._socket.recv)
        except (OSError, EOFError) as error:
            said = self._read_log() or str(error)
            self.kill()
            raise SandboxError(f"the sandbox did not start: {said}") from error

    def _receive_greeting(self) -> int:
        """Read the keeper's greeting; return its process number, which the kernel translates into ours."""
        pid = 0

        def receive(size: int) -> bytes:
            nonlocal pid
            data, extra, _, _ = self._socket.recvmsg(size, socket.CMSG_SPACE(_CREDENTIALS.size))
            for level, kind, content in extra:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid = _CREDENTIALS.unpack(content)[0]
            return data

        read_message(receive)
        assert pid > 0, "the kernel did not say who greets"
        return pid

    def run(self, request: Request) -> tuple[dict[str, Any], list[bytes]]:
        """Run one program.

        Raises:
            EOFError, OSError: the keeper died, or does not answer in time.
        """
        self.runs += 1
        if not self.blueprint.nested:
            return self._converse(self._socket, request)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            with theirs:
                descriptors = array.array("i", [theirs.fileno()])
                self._socket.sendmsg([b"r"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            return self._converse(ours, request)

    def _converse(self, channel: socket.socket, request: Request) -> tuple[dict[str, Any], list[bytes]]:
        patience = request.wall_seconds + _GRACE_SECONDS
        deadline = time.monotonic() + patience
        channel.settimeout(patience)
        channel.sendall(encode_message(*request.to_message()))
        return read_message(lambda size: self._receive(channel, size, deadline))

    def _receive(self, channel: socket.socket, size: int, deadline: float) -> bytes:
        """Read from the supervisor; if the kernel meanwhile ends a process for want of memory, hang up, which ends the run."""
        while True:
            channel.settimeout(max(0.001, min(_LOOK_SECONDS, deadline - time.monotonic())))
            try:
                return channel.recv(size)
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise
                if self.group is not None and self.group.has_killed():
                    channel.shutdown(socket.SHUT_WR)

    def _read_log(self) -> str:
        """Return what bubblewrap and the keeper complained about."""
        if self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        size = os.fstat(self._log).st_size
        return os.pread(self._log, 4096, max(0, size - 4096)).decode(errors="replace").strip()

    def is_alive(self) -> bool:
        """Whether the jail still stands."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End everything in the jail and forget it. Calling it again does nothing."""
        if self._socket.fileno() < 0:
            return
        self._process.kill()
        self._process.wait()
        self._socket.close()
        os.close(self._log)
        if self.group is not None:
            try:
                self.group.remove()
            except OSError as error:
                _LOG.warning("a control group of the sandbox is left to its janitor: %s", error)


@contextlib.contextmanager
def _as_files(**contents: bytes) -> Iterator[dict[str, int]]:
    """Give each content a file descriptor to be read from."""
    fds = {name: os.memfd_create(name) for name in contents}
    try:
        for name, content in contents.items():
            os.write(fds[name], content)
            os.lseek(fds[name], 0, os.SEEK_SET)
        yield fds
    finally:
        for fd in fds.values():
            os.close(fd)
