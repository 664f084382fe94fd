"""Without isolation every run says so, and still nothing of it is left."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from dunwu.errors import SandboxError
from dunwu.sandbox.records import Command
from dunwu.sandbox.unsafe import UnsafeExecutor

from .conftest import LIMITS, eventually


def folders():
    return {path.name for path in Path(tempfile.gettempdir()).glob("dunwu-unsafe-*")}


def test_every_run_is_loud(caplog):
    caplog.set_level(logging.WARNING)
    with UnsafeExecutor(1) as executor:
        assert executor.describe()["sandbox"].startswith("UNSAFE")
        for _ in range(2):
            executor.run(Command(("/bin/echo", "hello")), LIMITS)
        executor.run_python("print(1)", b"", {}, LIMITS)
    messages = [record.message for record in caplog.records]
    assert len(messages) == 4
    assert all(message.startswith("UNSAFE") for message in messages)
    assert sum("/bin/echo hello" in message for message in messages) == 2


def test_it_does_not_isolate_and_so_is_well_named(unsafe):
    """The same program that the sandbox keeps in sees this machine here."""
    source = f"import os; print(os.path.exists({str(Path(__file__))!r}), os.getuid() == {os.getuid()})"
    assert unsafe.run_python(source, b"", {}, LIMITS).stdout == b"True True\n"


def test_its_folder_and_its_daemons_are_gone_afterwards(unsafe):
    before = folders()
    source = """
import os, subprocess, sys, time
print(os.getcwd(), flush=True)
for _ in range(3):
    child = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
    print(child.pid, flush=True)
"""
    folder, *numbers = unsafe.run_python(source, b"", {}, LIMITS).stdout.decode().split()
    assert Path(folder).name.startswith("dunwu-unsafe-")
    assert len(numbers) == 3
    assert not any(psutil.pid_exists(int(number)) for number in numbers)
    assert folders() <= before


OWNER = """
import sys
from dunwu.sandbox.records import Limits
from dunwu.sandbox.unsafe import UnsafeExecutor
source = "import os, time\\nos.fork()\\nopen('mark', 'w')\\ntime.sleep(600)"
UnsafeExecutor(1).run_python(source, b"", {}, Limits(wall_seconds=500))
"""


def test_nothing_is_left_when_dunwu_is_killed():
    before = folders()
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stderr=subprocess.DEVNULL)
    try:
        assert eventually(
            lambda: any((Path(tempfile.gettempdir()) / name / "mark").exists() for name in folders() - before)
        )
        started = psutil.Process(owner.pid).children(recursive=True)
        assert len(started) == 3
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert eventually(lambda: not any(process.is_running() for process in started))
        assert eventually(lambda: not folders() - before)
    finally:
        owner.kill()
        owner.wait()


def test_a_closed_one_runs_nothing():
    executor = UnsafeExecutor(1)
    executor.close()
    with pytest.raises(SandboxError, match="closed"):
        executor.run_python("print(1)", b"", {}, LIMITS)
