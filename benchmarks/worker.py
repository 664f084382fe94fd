"""A side of a comparison as a process of its own, stepped from outside, its memory watched.

A worker process loads, says what it is, then waits: each line "step {...}" makes it do one step and answer with
that step's figures. So two trainers can be loaded at the same time and take turns, and neither sees the
other's memory or threads. Both ends are here: `Worker` for the orchestrator, `Channel` for the process.
Answers are JSON lines on a private copy of stdout; what the libraries print goes to stderr, which is kept in
a log file.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

SAMPLE_SECONDS = 0.1
WORKER_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


class WorkerError(RuntimeError):
    """A worker ended, or did not answer in time; the message has the end of its log."""


class Channel:
    """The worker process's end. Make it first: from then on, stdout is stderr."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def send(self, **figures: Any) -> None:
        """Answer the orchestrator."""
        self._answers.write(json.dumps(figures) + "\n")

    def await_step(self) -> dict[str, Any]:
        """Block until the next step is asked for, and return what it is given; end the process when none will be."""
        command, _, argument = sys.stdin.readline().strip().partition(" ")
        if command != "step":
            os._exit(0)
        fields: dict[str, Any] = json.loads(argument)
        return fields


class Worker:
    """The orchestrator's end: starts the module as a process, asks for steps, watches its memory."""

    def __init__(
        self,
        module: str,
        argument: str,
        folder: Path,
        timeout_seconds: float,
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it; `folder` is made, holds its log, and is where it puts temporary files.

        Args:
            python: the interpreter, which decides what is installed.
            environment: variables beside this process's own.
        """
        folder.mkdir()
        self.module, self.log, self.timeout_seconds = module, folder / "log.txt", timeout_seconds
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [python, "-m", module, argument],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | WORKER_ENVIRONMENT | {"TMPDIR": str(folder)} | dict(environment or {}),
            )
        self._memory = TreeMemory(self._process.pid)
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read_answers, daemon=True).start()

    def ready(self) -> dict[str, Any]:
        """Wait until everything is loaded; returns what the worker says of itself."""
        return self._answer()

    def step(self, **argument: Any) -> dict[str, Any]:
        """One step, alone on the machine; returns its figures."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"step {json.dumps(argument)}\n")
        self._process.stdin.flush()
        return self._answer()

    def peak_bytes(self) -> int:
        """Peak memory of the process tree so far, in bytes."""
        return self._memory.peak_bytes()

    def close(self) -> int:
        """End the process; returns the peak memory of its tree in bytes."""
        peak_bytes = self._memory.stop()
        if self._process.poll() is None:
            kill_tree(self._process.pid)
        self._process.wait()
        return peak_bytes

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=self.timeout_seconds)
        except queue.Empty:
            raise self._error(f"gave no answer within {self.timeout_seconds} s") from None
        if not line:
            raise self._error(f"ended with exit status {self._process.wait()}")
        return json.loads(line)

    def _error(self, what: str) -> WorkerError:
        tail = "".join(self.log.read_text(errors="replace").splitlines(keepends=True)[-30:])
        return WorkerError(f"{self.module} {what}; the end of {self.log}:\n{tail}")


class TreeMemory:
    """Peak resident memory of a process and its descendants.

    The sum over the tree is sampled, so a spike shorter than a sample can be missed; the root's own peak,
    which the kernel keeps exactly, is the floor. Pages that processes of one tree share are counted once for
    each.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._peak_bytes = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def peak_bytes(self) -> int:
        """The peak so far, in bytes; exact for the root while it lives."""
        self._peak_bytes = max(self._peak_bytes, kernel_peak_bytes(self._root.pid))
        return self._peak_bytes

    def stop(self) -> int:
        """Stop watching; returns the peak in bytes."""
        peak_bytes = self.peak_bytes()
        self._stopped.set()
        self._thread.join()
        return max(peak_bytes, self._peak_bytes)

    def _watch(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self._peak_bytes = max(self._peak_bytes, tree_bytes(self._root))


def tree_bytes(root: psutil.Process) -> int:
    """Resident bytes of a process and its descendants now; 0 for those that have ended."""
    total = 0
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def kill_tree(pid: int) -> None:
    """End a process and its descendants at once."""
    try:
        root = psutil.Process(pid)
        processes = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def kernel_peak_bytes(pid: int) -> int:
    """The kernel's own record of a live process's peak resident memory (VmHWM); 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
