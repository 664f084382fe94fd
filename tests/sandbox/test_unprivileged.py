"""The sandbox for a user without any rights. Where the tests run as such a user, all other tests are this test too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest

import dunwu
from dunwu.sandbox.jail_root import is_open_to_all

from .conftest import needs_bubblewrap

pytestmark = needs_bubblewrap

SOURCE = Path(dunwu.__file__).parents[1]
PACKAGES = Path(pydantic.__file__).parents[1]
PROGRAM = """
import os, sys
sys.path[:0] = sys.argv[1:]
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Command, Limits
assert os.getuid() == 12345
with open_executor(BubblewrapSandbox(max_parallel=1)) as executor:
    layers = executor.describe()
    print(layers["user"], "|", layers["system calls"], "|", layers["memory"])
    print(executor.run_python("import os; print(os.getuid(), input())", b"hello", {}, Limits()).stdout)
    print(executor.run(Command(("sh", "-c", "echo $HOME; ls -A /")), Limits()).stdout.split()[0])
    bomb = "import os\\nn = 0\\ntry:\\n    while n < 300:\\n        n += 1\\n        os.fork() or __import__('time').sleep(20)\\n"
    bomb += "except OSError:\\n    print(n, flush=True)\\n    os._exit(0)"
    print(executor.run_python(bomb, b"", {}, Limits(processes=10)).stdout)
    print(executor.run_python("x = [bytearray(10**7) for _ in range(99)]", b"", {}, Limits(memory_bytes=2**27)).outcome)
"""


def readable_interpreter() -> str | None:
    """An interpreter of this version that everyone may run."""
    for path in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        if os.path.exists(path) and is_open_to_all(path):
            code = "import sys; print(sys.version_info[:2])"
            version = subprocess.run(
                [path, "-c", code], capture_output=True, text=True, check=False
            ).stdout.strip()
            if version == str(sys.version_info[:2]):
                return path
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_without_rights_has_the_same_sandbox():
    python = readable_interpreter()
    if (
        python is None
        or not shutil.which("setpriv")
        or not all(map(is_open_to_all, map(str, (SOURCE, PACKAGES))))
    ):
        pytest.skip("no interpreter or no packages that another user may read")
    command = [
        "setpriv",
        "--reuid",
        "12345",
        "--regid",
        "12345",
        "--clear-groups",
        python,
        "-c",
        PROGRAM,
        str(SOURCE),
        str(PACKAGES),
    ]
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    layers, *lines = done.stdout.splitlines()
    assert layers.startswith("yours, without its rights | filtered | ")
    assert lines == ["b'1000 hello\\n'", "b'/work'", "b'10\\n'", "memory"]
