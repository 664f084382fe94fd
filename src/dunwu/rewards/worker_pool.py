"""A few grading processes, started when first needed, each killed and replaced when a job goes wrong in it.

Knows processes and sockets, nothing of rewards. Jobs come from any thread; a job waits for a free process
first, and its clock starts only when a process takes it up. The processes are started by `subprocess`, not
`multiprocessing`: they never import the caller's main module and need no guard in it. Called by the maths and
reasoning-gym graders and for user functions.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
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
    """The job used up its time: what it was given to do is too much work."""


class JobCrashError(Exception):
    """The process crashed by its own doing (segmentation fault, abort) on this job."""


class JobLostError(Exception):
    """The job got no answer for a reason outside it: no processor time, a killed process, an error in the
    grader."""


@dataclass(frozen=True)
class JobLimits:
    """What a job may use.

    Args:
        wall_seconds: time on the clock, counted from when a process begins with the job.
        cpu_seconds: processor time. A job with such a limit that reaches the other one, because the machine is
            busy, is lost; a job without it has timed out.
    """

    wall_seconds: float
    cpu_seconds: float | None = None


def cpu_limits(cpu_seconds: float) -> JobLimits:
    """Limit processor time; on the clock the job may take WALL_GRACE_SECONDS longer."""
    return JobLimits(cpu_seconds + WALL_GRACE_SECONDS, cpu_seconds)


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection

    def has_ended(self) -> bool:
        """Whether the process has ended; it is not reaped, so that its number stays its own until `discard`."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def discard(self, patience_seconds: float = 0.2) -> int:
        """Kill the process if it still lives, and what it started; reap it, and return how it ended (negative:
        the signal)."""
        self.connection.close()
        end = time.monotonic() + patience_seconds
        while not self.has_ended() and time.monotonic() < end:
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


class WorkerPool:
    """Runs jobs in at most `num_workers` processes.

    Args:
        num_workers: >= 1; each holds 60 MB (maths) to 200 MB (reasoning-gym).
        module: what a process runs: `worker` for the graders, `user_worker` for a user's function.
        keep_stderr: let what the processes write to their standard error be seen.
    """

    def __init__(
        self, num_workers: int, module: str = "dunwu.rewards.worker", *, keep_stderr: bool = False
    ) -> None:
        self._num_workers = num_workers
        self._module = module
        self._keep_stderr = keep_stderr
        self.num_retries = 0
        """Jobs that were lost and given to another process."""
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._slots = threading.Semaphore(self._num_workers)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []
        self._closed = False

    def run(self, job: dict[str, Any], limits: JobLimits | float) -> dict[str, Any]:
        """Run one job and return its reply; blocks, first for a free process. A lost job is tried once more.

        Args:
            job: JSON-able, of a kind that the process knows.
            limits: what it may use; a number is processor time in seconds (`cpu_limits`).
        Raises:
            JobTimeoutError, JobCrashError: caused by the job itself.
            JobLostError: not caused by the job.
            RuntimeError: the pool is closed.
        """
        if os.getpid() != self._pid:  # in a forked child the parent's processes are not ours
            self._reset()
        if not isinstance(limits, JobLimits):
            limits = cpu_limits(limits)
        with self._slots:
            try:
                reply = self._run_once(job, limits)
            except JobLostError:
                with self._lock:
                    if self._closed:
                        raise
                    self.num_retries += 1
                reply = self._run_once(job, limits)
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

    def _run_once(self, job: dict[str, Any], limits: JobLimits) -> dict[str, Any]:
        worker = self._take()
        try:
            reply = self._exchange(worker, job, limits)
        except BaseException:
            with self._lock:
                self._busy.remove(worker)
            if worker.process.returncode is None:
                worker.discard()
            raise
        self._give_back(worker)
        return reply

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("the grader is closed")
            while self._idle:
                worker = self._idle.pop()
                if not worker.has_ended():
                    break
                worker.discard()
            else:
                worker = self._start_worker()
            self._busy.append(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.remove(worker)
            if not self._closed:
                self._idle.append(worker)
                return
        worker.discard()

    def _exchange(self, worker: _Worker, job: dict[str, Any], limits: JobLimits) -> dict[str, Any]:
        # A job whose processor time is limited is ended by the kernel. One that is limited on the clock alone is
        # ended from here too, since what it runs may use the process's alarm for itself.
        watched = limits.cpu_seconds is None
        clocks = {"cpu_seconds": limits.cpu_seconds or 0.0, "wall_seconds": limits.wall_seconds}
        if watched:
            clocks |= {"wall_seconds": limits.wall_seconds + _KILL_GRACE_SECONDS, "announce": True}
        late = False
        try:
            worker.connection.send_bytes(json.dumps({**job, **clocks}).encode())
            if not watched:
                worker.connection.poll(limits.wall_seconds + _KILL_GRACE_SECONDS + _START_SECONDS)
            elif worker.connection.poll(_START_SECONDS):
                worker.connection.recv_bytes()
                late = not worker.connection.poll(limits.wall_seconds)
            if not late and worker.connection.poll(0):
                return json.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            pass
        status = worker.discard(0.0 if late else 0.2)
        raise _cause(status, limits, late=late)

    def _start_worker(self) -> _Worker:
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
                [sys.executable, "-P", "-m", self._module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if self._keep_stderr else subprocess.DEVNULL,
                process_group=0,
            )
        return _Worker(process, ours)


def _cause(status: int, limits: JobLimits, *, late: bool) -> Exception:
    """Say why a process that gave no answer ended."""
    if late or (limits.cpu_seconds is None and status == -signal.SIGALRM):
        return JobTimeoutError(f"no result within {limits.wall_seconds:g} s")
    if status == -signal.SIGPROF:
        return JobTimeoutError(f"more than {limits.cpu_seconds:g} s of processor time")
    if -status in _CRASH_SIGNALS:
        return JobCrashError(f"the grading process crashed: {signal.Signals(-status).name}")
    if status == -signal.SIGALRM:
        return JobLostError(
            f"no result within {limits.wall_seconds:g} s, though the processor time was not used up"
        )
    return JobLostError(f"the grading process ended with status {status}")
