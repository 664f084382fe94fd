"""A few grading processes, started when first needed, each killed and replaced when a job goes wrong in it.

Knows processes and sockets, nothing of rewards. Jobs come from any thread; a job waits for a free process
first, and its clock starts only when a process takes it up. The processes are started by `subprocess`, not
`multiprocessing`: they never import the caller's main module and need no guard in it. Called by the maths and
reasoning-gym graders.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import dunwu

WALL_GRACE_SECONDS = 20.0
"""How much longer than its processor time a job may take on the clock, on a machine that has other work to
do."""
_KILL_GRACE_SECONDS = 5.0
_START_SECONDS = 120.0
_CRASH_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)


class JobTimeoutError(Exception):
    """The job used up its processor time: what it was given to grade is too much work."""


class JobCrashError(Exception):
    """The process crashed by its own doing (segmentation fault, abort) on this job."""


class JobLostError(Exception):
    """The job got no answer for a reason outside it: no processor time, a killed process, an error in the
    grader."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection

    def discard(self) -> int:
        """Kill the process if it still lives, reap it, and return how it ended (negative: the signal)."""
        self.connection.close()
        try:
            status = self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return status


class WorkerPool:
    """Runs jobs (see `worker.run_job`) in at most `num_workers` processes.

    Args:
        num_workers: >= 1; each holds 60 MB (maths) to 200 MB (reasoning-gym).
    """

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._slots = threading.Semaphore(self._num_workers)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []
        self._closed = False

    def run(self, job: dict[str, Any], cpu_seconds: float) -> dict[str, Any]:
        """Run one job and return its reply; blocks, first for a free process.

        Args:
            job: JSON-able, of a kind that `worker.run_job` knows.
            cpu_seconds: processor time the job may use, > 0. On the clock it may take WALL_GRACE_SECONDS
                longer.
        Raises:
            JobTimeoutError, JobCrashError: caused by the job itself.
            JobLostError: not caused by the job.
            RuntimeError: the pool is closed.
        """
        if os.getpid() != self._pid:  # in a forked child the parent's processes are not ours
            self._reset()
        with self._slots:
            worker = self._take()
            try:
                reply = self._exchange(worker, job, cpu_seconds)
            except BaseException:
                with self._lock:
                    self._busy.remove(worker)
                worker.discard()
                raise
            self._give_back(worker)
        if "error" in reply:
            raise JobLostError(reply["error"])
        return reply

    def close(self) -> None:
        """End all processes; a job at work is lost (JobLostError), one that waits for a process raises
        RuntimeError."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for worker in self._busy:
                worker.process.kill()
        for worker in idle:
            worker.discard()

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("the grader is closed")
            while self._idle:
                worker = self._idle.pop()
                if worker.process.poll() is None:
                    break
                worker.discard()
            else:
                worker = _start_worker()
            self._busy.append(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.remove(worker)
            if not self._closed:
                self._idle.append(worker)
                return
        worker.discard()

    def _exchange(self, worker: _Worker, job: dict[str, Any], cpu_seconds: float) -> dict[str, Any]:
        wall_seconds = cpu_seconds + WALL_GRACE_SECONDS
        message = json.dumps({**job, "cpu_seconds": cpu_seconds, "wall_seconds": wall_seconds}).encode()
        try:
            worker.connection.send_bytes(message)
            if worker.connection.poll(wall_seconds + _KILL_GRACE_SECONDS + _START_SECONDS):
                return json.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            pass
        status = worker.discard()
        if status == -signal.SIGPROF:
            raise JobTimeoutError(f"more than {cpu_seconds:g} s of processor time")
        if -status in _CRASH_SIGNALS:
            raise JobCrashError(f"the grading process crashed: {signal.Signals(-status).name}")
        if status == -signal.SIGALRM:
            raise JobLostError(
                f"no result within {wall_seconds:g} s, though the processor time was not used up"
            )
        raise JobLostError(f"the grading process ended with status {status}")


def _start_worker() -> _Worker:
    ours, theirs = Pipe()
    package_root = str(Path(dunwu.__file__).parent.parent)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")])),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dunwu.rewards.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    return _Worker(process, ours)
