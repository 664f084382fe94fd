"""The job protocol, and what a job may not do to the machine."""

import os
import signal
import subprocess
import sys
from multiprocessing.connection import Pipe
from pathlib import Path

import pytest

from dunwu.rewards.worker import run_job


def test_replies() -> None:
    assert run_job({"kind": "math", "answer": "4/2", "reference": "2"}) == {"right": True, "detail": ""}
    assert run_job({"kind": "math", "answer": r"\frac{", "reference": "2"})["right"] is False
    assert run_job({"kind": "math_reference", "reference": "x+1"}) == {"fault": None}
    assert "cannot be" not in str(run_job({"kind": "math_reference", "reference": r"\frac{"})["fault"])
    assert run_job({"kind": "math", "answer": "2"}) == {"error": "KeyError: 'reference'"}
    assert run_job({"kind": "what"}) == {"error": "ValueError: there is no job kind 'what'"}


def test_memory_error_is_an_answer_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(answer: str, reference: str) -> tuple[bool, str]:
        raise MemoryError

    monkeypatch.setattr("dunwu.rewards.equality.expressions_equal", greedy)
    reply = run_job({"kind": "math", "answer": "2", "reference": "2"})
    assert reply == {"right": False, "detail": "memory limit of the grading process"}


@pytest.mark.parametrize(
    "act",
    [
        "open('/tmp/dunwu-must-not-exist', 'w')",
        "os.open('/tmp/dunwu-must-not-exist', os.O_CREAT | os.O_RDWR)",
        "os.system('true')",
        "subprocess.run(['true'])",
        "os.fork()",
        "os.remove('/tmp/dunwu-must-not-exist')",
        "os.mkdir('/tmp/dunwu-must-not-exist')",
        "socket.create_connection(('127.0.0.1', 9))",
        "ctypes.CDLL(None)",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_guard_refuses_while_a_job_runs(act: str) -> None:
    script = (
        "import ctypes, os, socket, subprocess\n"
        "from dunwu.rewards.worker import Guard\n"
        "guard = Guard()\nopen(os.devnull, 'w').close()\nguard.armed = True\nopen(os.devnull).close()\n"
        f"try:\n    {act}\nexcept PermissionError as error:\n"
        "    raise SystemExit(0 if 'grading must not' in str(error) else 2)\n"
        "raise SystemExit(1)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert not Path("/tmp/dunwu-must-not-exist").exists()


def test_worker_ignores_ctrl_c_and_ends_when_its_socket_closes() -> None:
    ours, theirs = Pipe()
    job = b'{"kind": "nothing", "cpu_seconds": 5, "wall_seconds": 5}'
    worker = subprocess.Popen(
        [sys.executable, "-m", "dunwu.rewards.worker", str(theirs.fileno())], pass_fds=[theirs.fileno()]
    )
    theirs.close()
    ours.send_bytes(job)
    assert b"error" in ours.recv_bytes()
    os.kill(worker.pid, signal.SIGINT)
    ours.send_bytes(job)
    assert b"error" in ours.recv_bytes()
    ours.close()
    assert worker.wait(10) == 0
