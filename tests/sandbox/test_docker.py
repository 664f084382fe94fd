"""The container's command line, and a whole run through a client that stands in for Docker's: it builds the container that its
arguments ask for with bubblewrap."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise

import psutil
import pytest

from dunwu.config.sandbox import DockerSandbox
from dunwu.errors import SandboxError
from dunwu.sandbox.docker import DockerExecutor, container_command
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Command

from .conftest import LIMITS, eventually, needs_bubblewrap

pytestmark = needs_bubblewrap


def test_a_container_has_no_network_no_rank_and_bounded_everything():
    config = DockerSandbox(image="python:3.12", program="podman", runtime="runsc")
    command = container_command(
        config, "dunwu-1", replace(LIMITS, memory_bytes=2**28, processes=20, file_bytes=2**24)
    )
    assert command[:2] == ["podman", "run"]
    assert command[-1] == "python:3.12"
    pairs = dict(pairwise(command))
    assert pairs["--network"] == "none"
    assert pairs["--cap-drop"] == "ALL"
    assert pairs["--security-opt"] == "no-new-privileges"
    assert pairs["--user"] == "65534:65534"
    assert pairs["--pids-limit"] == "24"
    assert pairs["--memory"] == pairs["--memory-swap"] == str(2**28 + 64 * 2**20)
    assert pairs["--runtime"] == "runsc"
    assert pairs["--pull"] == "never"
    assert {"--rm", "--interactive", "--read-only"} <= set(command)
    mounts = [value for option, value in pairwise(command) if option == "--tmpfs"]
    assert mounts == [f"{path}:rw,exec,nosuid,nodev,size={2**24},mode=0777" for path in ("/work", "/tmp")]
    for option in ("--volume", "-v", "--privileged", "--mount", "--env", "-e"):
        assert option not in command


def test_the_engines_own_runtime_is_the_default():
    assert "--runtime" not in container_command(DockerSandbox(), "x", LIMITS)


ENGINE = f"""#!{sys.executable}
import os, sys
command, *options = sys.argv[1:]
with open(LOG, "a") as log:
    log.write(" ".join(sys.argv[1:6]) + "\\n")
if command != "run":
    sys.exit(0)
image = options.index("the-image")
given = dict(zip(options, options[1:]))
bwrap = ["bwrap", "--unshare-all", "--die-with-parent", "--as-pid-1", "--clearenv", "--cap-drop", "ALL"]
if given["--network"] != "none":
    bwrap.append("--share-net")
for path in ("/usr", "/lib", "/lib64", "/bin"):
    bwrap += ["--ro-bind", path, path]
bwrap += ["--dev", "/dev", "--proc", "/proc", "--setenv", "PATH", "/usr/bin"]
for option, value in zip(options, options[1:]):
    if option == "--tmpfs":
        path, _, settings = value.partition(":")
        bwrap += ["--size", dict(s.split("=") for s in settings.split(",") if "=" in s)["size"], "--tmpfs", path]
bwrap += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", given["--workdir"], "--uid", "65534", "--gid", "65534"]
os.execvp("bwrap", bwrap + ["--"] + options[image + 1:])
"""


@pytest.fixture
def client(tmp_path):
    path = tmp_path / "docker"
    path.write_text(ENGINE.replace("LOG", repr(str(tmp_path / "log"))))
    path.chmod(0o755)
    return path


def read_log(client):
    return (client.parent / "log").read_text().splitlines()


def test_programs_run_in_containers_of_their_own(client):
    with open_executor(DockerSandbox(program=str(client), image="the-image", max_parallel=2)) as executor:
        assert "the-image" in executor.describe()["sandbox"]
        execution = executor.run_python("print(input() * 2); open('/tmp/x', 'w')", b"ab\n", {}, LIMITS)
        assert (execution.outcome, execution.stdout) == ("exited", b"abab\n")
        command = Command(
            ("python3", "tell.py"), files={"tell.py": b"import os; print(os.getcwd(), os.listdir('/tmp'))"}
        )
        assert executor.run(command, LIMITS).stdout == b"/work []\n"
        built = Command(("sh", "-c", "echo made > out.txt"))
        assert executor.compile(built, LIMITS, ["out.txt"])[1] == {"out.txt": b"made\n"}
        assert (
            executor.run_python("while True: pass", b"", {}, replace(LIMITS, cpu_seconds=0.2)).outcome
            == "time"
        )
        assert executor.run_python("x = bytearray(10**9)", b"", {}, LIMITS).outcome == "memory"
    with pytest.raises(SandboxError, match="closed"):
        executor.run_python("1", b"", {}, LIMITS)
    names = [line.split()[4] for line in read_log(client) if line.startswith("run ")]
    assert len(set(names)) == 6  # five programs and the probe


def test_a_container_that_does_not_answer_is_removed(client):
    text = client.read_text().replace('os.execvp("bwrap"', 'sys.exit(125); os.execvp("bwrap"')
    client.write_text(text)
    executor = DockerExecutor(DockerSandbox(program=str(client), image="the-image", max_parallel=1))
    with pytest.raises(SandboxError, match="broke down"):
        executor.run_python("print(1)", b"", {}, LIMITS)
    name = next(line.split()[4] for line in read_log(client) if line.startswith("run "))
    assert name.startswith("dunwu-")
    assert f"rm --force {name}" in read_log(client)


def test_an_engine_that_hangs_is_given_up(client, monkeypatch):
    client.write_text(
        client.read_text().replace('os.execvp("bwrap"', 'import time; time.sleep(600); os.execvp("bwrap"')
    )
    monkeypatch.setattr("dunwu.sandbox.one_shot._GRACE_SECONDS", 0.2)
    executor = DockerExecutor(DockerSandbox(program=str(client), image="the-image", max_parallel=1))
    with pytest.raises(SandboxError, match="broke down"):
        executor.run_python("print(1)", b"", {}, replace(LIMITS, wall_seconds=0.2))
    assert eventually(lambda: not any(str(client) in line for line in command_lines()))


def command_lines():
    return [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
