"""A grading process: reads jobs from a socket, answers each, and carries its own time limits.

The kernel ends it, whatever it is doing, when a job's share of processor time (SIGPROF) or of wall time
(SIGALRM) is used up, so that no thread of the parent has to watch and nothing outlives a parent that was
killed for longer than a job may take. While idle it ends when the socket closes or its parent is gone. It
imports no torch. Started by `worker_pool` as `python -m dunwu.rewards.worker FD`; everything on the socket is
JSON.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

Run = Callable[[dict[str, Any]], dict[str, Any]]
Prepare = Callable[[dict[str, Any]], None]

MEMORY_LIMIT_BYTES = 3 << 30
PARENT_CHECK_SECONDS = 2.0
_FORBIDDEN_EVENTS = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.kill", "os.putenv"),
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.ch"),
    *("shutil.", "subprocess.", "socket.", "ctypes.", "signal.pthread_kill", "urllib.", "webbrowser."),
)


class Guard:
    """Refuses, while a job runs, what no grading needs. A second lock behind `gym_scorer.is_formula`, not a
    sandbox."""

    def __init__(self) -> None:
        self.armed = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event.startswith(_FORBIDDEN_EVENTS) or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)):
            raise PermissionError(f"grading must not do this: {event}")


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job and return its reply.

    Jobs: {"kind": "math", "answer", "reference"} and {"kind": "gym", "dataset", "params", "entry", "answer"}
    are answered {"right", "detail"}; {"kind": "math_reference", "reference"} is answered {"fault"}; a job
    that raises, {"error"}.
    """
    try:
        match job["kind"]:
            case "math":
                from dunwu.rewards.equality import expressions_equal

                right, detail = expressions_equal(job["answer"], job["reference"])
            case "math_reference":
                from dunwu.rewards.equality import reference_fault

                return {"fault": reference_fault(job["reference"])}
            case "gym":
                from dunwu.rewards.gym_scorer import score

                right, detail = score(job["dataset"], job["params"], job["entry"], job["answer"])
            case kind:
                raise ValueError(f"there is no job kind {kind!r}")
    except MemoryError:
        return {"right": False, "detail": "memory limit of the grading process"}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"right": right, "detail": detail}


def _set_limits() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for limit, value in ((resource.RLIMIT_AS, MEMORY_LIMIT_BYTES), (resource.RLIMIT_FSIZE, 0)):
        hard = resource.getrlimit(limit)[1]
        with contextlib.suppress(ValueError, OSError):  # macOS knows RLIMIT_AS and refuses it
            resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def set_signals() -> None:
    """Leave Ctrl-C to the parent, and let the clocks' signals end the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)


def _set_clocks(cpu_seconds: float, wall_seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)


def serve(connection: Connection, run: Run, prepare: Prepare, guard: Guard | None = None) -> None:
    """Answer jobs until the socket closes or the parent is gone.

    A job that holds "announce" is answered twice: by an empty reply when its clocks start, then by its own.

    Args:
        run: does one job, within its time limits.
        prepare: called with each job before its clocks start.
        guard: armed while a job runs.
    """
    parent = os.getppid()
    while True:
        while not connection.poll(PARENT_CHECK_SECONDS):
            if os.getppid() != parent:
                return
        try:
            job = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        prepare(job)
        if job.get("announce"):
            connection.send_bytes(b"{}")
        if guard is not None:
            guard.armed = True
        _set_clocks(job["cpu_seconds"], job["wall_seconds"])
        reply = run(job)
        _set_clocks(0, 0)
        if guard is not None:
            guard.armed = False
        try:
            connection.send_bytes(json.dumps(reply).encode())
        except OSError:
            return


def _prepare(job: dict[str, Any]) -> None:
    """Load what a kind of job needs, so that no answer's time is spent on it: imports, parser tables, word lists."""
    with contextlib.suppress(Exception):  # run_job meets it again, and says so
        match job["kind"]:
            case "math" | "math_reference":
                from dunwu.rewards.equality import warm_up

                warm_up()
            case "gym":
                from dunwu.rewards.gym_scorer import load_scorer

                load_scorer(job["dataset"], job["params"])


if __name__ == "__main__":
    set_signals()
    _set_limits()
    serve(Connection(int(sys.argv[1])), run_job, _prepare, Guard())
