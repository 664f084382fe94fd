"""The host that is attacked: secrets, listeners, a process to kill, folders to write into, and what became of them."""

from __future__ import annotations

import ctypes
import os
import secrets
import selectors
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[3]
ENDLESS = 10**9  # rounds of an attack that goes on until it is stopped


class Stage:
    """A host with secrets in the home folder, in /tmp, in the checkout, in an environment, in open files and in memory;
    with listeners on every kind of local socket; with a process that an attack may try to kill.

    `harm()` tells what attacks did to it. Everything is removed by `close`.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        self.heard: list[str] = []
        self.starved: list[str] = []
        self._places: dict[str, Path] = {}
        self._texts: dict[str, str] = {}
        for place, parent in (
            ("home", Path.home()),
            ("tmp", Path("/tmp")),
            ("checkout", CHECKOUT / ".cache"),
        ):
            folder = parent / f".canary-{self.token}"
            folder.mkdir(parents=True)
            self._texts[place] = f"SECRET-{place}-{secrets.token_hex(8)}"
            self._places[place] = folder / "canary.txt"
            self._places[place].write_text(self._texts[place] + "\n")
        self.folder = Path("/tmp") / f"folder-{self.token}"
        self.folder.mkdir(mode=0o777)
        self._texts["environment"] = f"SECRET-environment-{secrets.token_hex(8)}"
        self._ipc_key = 0x64000000 + secrets.randbelow(1 << 20)
        self._listen()
        self._hold_open()
        self._start_victim()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _listen(self) -> None:
        self._selector = selectors.DefaultSelector()
        addresses: dict[str, tuple[int, int, Any]] = {
            "port4": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "port6": (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            "port_udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "unix": (socket.AF_UNIX, socket.SOCK_STREAM, str(self.folder / "door.socket")),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0listener-{self.token}"),
        }
        self._doors: dict[str, Any] = {}
        for name, (family, kind, address) in addresses.items():
            try:
                door = socket.socket(family, kind)
                door.bind(address)
            except OSError:
                assert family == socket.AF_INET6, name  # only IPv6 may be missing on a host
                self._doors[name] = 9
                continue
            if kind == socket.SOCK_STREAM:
                door.listen()
            door.setblocking(False)
            bound = door.getsockname()
            self._doors[name] = bound[1] if isinstance(bound, tuple) else address.lstrip("\0")
            self._selector.register(door, selectors.EVENT_READ, name)
        with socket.socket() as free:  # a port where nobody listens, unless an attack does
            free.bind(("127.0.0.1", 0))
            self._doors["port_door"] = free.getsockname()[1]
        self._doors["abstract_door"] = f"door-{self.token}"

    def _hold_open(self) -> None:
        """Opens a secret, its folder and a socket as files that a child inherits unless they are closed for it."""
        home = self._places["home"]
        self._held = [os.open(home, os.O_RDONLY), os.open(home.parent, os.O_RDONLY)]
        line = socket.create_connection(("127.0.0.1", self._doors["port4"]))
        self._held.append(line.detach())
        for fd in self._held:
            os.set_inheritable(fd, True)
        for key, _ in self._selector.select(timeout=5):
            key.fileobj.accept()[0].close()  # our own knock

    def _start_victim(self) -> None:
        secret = self._texts["environment"]
        with self._places["home"].open() as stdin:
            self.victim = subprocess.Popen(
                ["sleep", "3600"], stdin=stdin, env={"VICTIM": secret}, cwd=self._places["tmp"].parent
            )

    def _watch(self) -> None:
        """Answers who knocks, knocks at the doors that attacks may open, and uses what attacks may use up."""
        while not self._stop.is_set():
            for key, _ in self._selector.select(timeout=0.05):
                self.heard.append(f"{key.data}: {self._answer(key.fileobj)}")
            for family, address in (
                (socket.AF_INET, ("127.0.0.1", self._doors["port_door"])),
                (socket.AF_UNIX, "\0" + self._doors["abstract_door"]),
            ):
                with socket.socket(family, socket.SOCK_STREAM) as knock:
                    if knock.connect_ex(address) == 0:
                        self.heard.append(f"a door was opened: {address!r}")
            self._use_what_is_shared()

    def _answer(self, door: Any) -> str:
        if door.type == socket.SOCK_DGRAM:
            return door.recv(100).decode(errors="replace")
        line, _ = door.accept()
        with line:
            line.settimeout(0.5)
            try:
                return line.recv(100).decode(errors="replace")
            except OSError as error:
                return str(error)

    def _use_what_is_shared(self) -> None:
        """Files, pipes and watches are counted for each user or for the machine: the host must go on finding some."""
        try:
            watch = ctypes.CDLL(None, use_errno=True).inotify_init1(0)
            if watch < 0:
                raise OSError(ctypes.get_errno(), "inotify_init1")
            os.close(watch)
            for fd in os.pipe():
                os.close(fd)
            with open("/usr/bin/env", "rb") as program:  # for those who watch what the host uses
                program.read(1)
        except OSError as error:
            self.starved.append(str(error))

    def targets(self, name: str, rounds: int = ENDLESS) -> dict[str, Any]:
        """What the attack `name` is told; `rounds` bounds those that would go on without end."""
        return {
            "name": name,
            "rounds": rounds,
            "canaries": {place: str(path) for place, path in self._places.items()},
            "folder": str(self.folder),
            "victim": self.victim.pid,
            "parent": os.getpid(),
            "parent_group": os.getpgrp(),
            "ipc_key": self._ipc_key,
            **self._doors,
        }

    def environment(self) -> dict[str, str]:
        """The environment that holds a secret: that of the tests' own process, and of controls."""
        return {"DUNWU_TEST_SECRET": self._texts["environment"]}

    def secrets_in(self, text: bytes) -> list[str]:
        """Places whose secret is in `text`."""
        return [f"secret of {place}" for place, secret in self._texts.items() if secret.encode() in text]

    def harm(self) -> list[str]:
        """What was done to this host."""
        found = [f"heard {knock}" for knock in self.heard] + [f"starved: {error}" for error in self.starved]
        for place, path in self._places.items():
            if not path.exists() or path.read_text() != self._texts[place] + "\n":
                found.append(f"the secret of {place} was changed")
            found += [f"{entry} was written" for entry in path.parent.iterdir() if entry != path]
        found += [f"{entry} was written" for entry in self.folder.iterdir() if entry.name != "door.socket"]
        if self.victim.poll() is not None:
            found.append("the victim ended")
        return found + [f"SysV {kind} was left" for kind in self._ipc_left()]

    def _ipc_left(self) -> list[str]:
        left = []
        for kind in ("shm", "msg", "sem"):
            table = Path("/proc/sysvipc") / kind
            if table.exists() and str(self._ipc_key) in [
                line.split()[0] for line in table.read_text().splitlines()
            ]:
                left.append(kind)
        return left

    def close(self) -> None:
        self._stop.set()
        self._watcher.join()
        self.victim.kill()
        self.victim.wait()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        for fd in self._held:
            os.close(fd)
        for path in (*(path.parent for path in self._places.values()), self.folder):
            shutil.rmtree(path)
        for kind in self._ipc_left():
            subprocess.run(
                ["ipcrm", {"shm": "-M", "msg": "-Q", "sem": "-S"}[kind], str(self._ipc_key)], check=True
            )
