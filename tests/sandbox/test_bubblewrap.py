"""Isolation that bubblewrap's executor keeps, places that runs share, and what is left of them afterwards: nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.errors import ConfigError, SandboxError
from dunwu.sandbox.bubblewrap import BubblewrapExecutor
from dunwu.sandbox.cgroups import find_hierarchies
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Command

from .conftest import LIMITS, blueprint, eventually, needs_bubblewrap, open_files, traces

pytestmark = needs_bubblewrap

STATUS = "print({line.split(':')[0]: line.split(':')[1].strip() for line in open('/proc/self/status')})"


def run(executor, source, stdin=b"", **limits):
    return executor.run_python(source, stdin, {}, replace(LIMITS, **limits))


def test_a_program_has_no_rank(isolated):
    for execution in (run(isolated, STATUS), isolated.run(Command(("python3", "-c", STATUS)), LIMITS)):
        status = eval(execution.stdout)
        assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert set(status["Uid"].split() + status["Gid"].split()) == {"1000"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a program another user's rights")
def test_outside_a_program_is_a_user_that_nothing_belongs_to(isolated):
    marker = f"marker-{time.monotonic_ns()}"
    seen = set()

    def watch():
        while not done.is_set():
            for process in psutil.process_iter(["cmdline", "uids"]):
                if marker in (process.info["cmdline"] or ()):
                    seen.add(process.info["uids"].real)
            time.sleep(0.02)

    done = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    isolated.run(Command(("python3", "-c", "import time; time.sleep(0.5)", marker)), LIMITS)
    done.set()
    watcher.join()
    assert seen
    assert min(seen) >= 1_880_000_000


def test_the_root_holds_programs_and_nothing_else(isolated):
    names = run(isolated, "import os; print(sorted(os.listdir('/')))").stdout.decode()
    prefix = Path(isolated._blueprint.interpreter.prefix or "/usr").parts[1]
    system = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr"}
    assert set(eval(names)) - system - {prefix} == {"dev", "etc", "mnt", "proc", "tmp", "work"}
    for path in (Path.cwd(), Path(__file__), Path.home() / ".bashrc", "/etc/shadow", "/etc/hostname"):
        assert run(isolated, f"import os; print(os.path.lexists({str(path)!r}))").stdout == b"False\n"


def test_nothing_but_the_private_folders_can_be_written(isolated):
    source = """
import os
for folder, _, _ in os.walk('/'):
    if not folder.startswith(('/proc', '/work', '/tmp', '/dev/shm', '/mnt')):
        try:
            open(folder + '/x', 'w')
        except OSError:
            continue
        print(folder)
"""
    assert run(isolated, source).stdout == b""
    kinds = run(isolated, "import os; print(os.statvfs('/work').f_blocks * os.statvfs('/work').f_frsize)")
    assert int(kinds.stdout) == LIMITS.file_bytes


def test_the_network_is_a_loopback_of_its_own(isolated):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        source = f"""
import socket
try:
    socket.create_connection(('192.0.2.1', 80), 2)
except OSError as error:
    print(error.strerror)
try:
    socket.create_connection(('127.0.0.1', {port}), 2)
    print('reached')
except OSError as error:
    print('refused')
server = socket.create_server(('127.0.0.1', 0))
socket.create_connection(server.getsockname()).sendall(b'hello')
print(server.accept()[0].recv(5))
"""
        execution = run(isolated, source)
    assert execution.stdout.splitlines() == [b"Network is unreachable", b"refused", b"b'hello'"]


def test_abstract_sockets_are_not_shared_between_runs(isolated):
    listen = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('\\0dunwu'); s.listen(); time.sleep(1.5)"
    connect = "import socket, time; time.sleep(0.5); socket.socket(socket.AF_UNIX).connect('\\0dunwu'); print('met')"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run, isolated, listen)
        second = pool.submit(run, isolated, connect)
    assert first.result().exit_code == 0
    assert b"ConnectionRefusedError" in second.result().stderr


def test_the_supervisor_cannot_be_touched(isolated):
    source = """
import ctypes, errno, os, resource, signal
def attempt(name, action):
    try:
        print(name, action())
    except OSError as error:
        print(name, errno.errorcode[error.errno])
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGSTOP, signal.SIGKILL, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1):
    os.kill(1, number)
    attempt('all', lambda: os.kill(-1, 0))
attempt('limits', lambda: resource.prlimit(1, resource.RLIMIT_CPU, (1, 1)))
attempt('priority', lambda: os.setpriority(os.PRIO_PROCESS, 1, 19))
attempt('user', lambda: os.setpriority(os.PRIO_USER, 0, 19))
attempt('processors', lambda: os.sched_setaffinity(1, {0}))
attempt('files', lambda: os.listdir('/proc/1/fd'))
attempt('memory', lambda: open('/proc/1/mem'))
attempt('environment', lambda: open('/proc/1/environ').read())
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace(16, 1, 0, 0)
print('ptrace', errno.errorcode[ctypes.get_errno()])
print('getfd', libc.syscall(438, os.pidfd_open(1), 0, 0), errno.errorcode[ctypes.get_errno()])
"""
    execution = run(isolated, source)
    assert execution.outcome == "exited", execution
    found = dict(line.split(" ", 1) for line in execution.stdout.decode().splitlines())
    assert found.pop("getfd") == "-1 EPERM"
    assert set(found.values()) <= {"EPERM", "EACCES", "ESRCH", "ENOSYS"}, found
    assert len(found) == 9


def test_a_crash_starts_nothing_on_this_machine(isolated):
    """The kernel starts the handler in core_pattern, as root and outside, for any size of core dump but 1, for 0 too."""
    source = """
import resource
print(resource.getrlimit(resource.RLIMIT_CORE))
try:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except OSError:
    print('kept')
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
"""
    assert run(isolated, source).stdout == b"(1, 1)\nkept\n"


def test_a_program_goes_first_when_memory_runs_out_and_cannot_change_that(nested):
    source = """
print(open('/proc/self/oom_score_adj').read().strip())
try:
    open('/proc/self/oom_score_adj', 'w')
except OSError as error:
    print(error.strerror)
"""
    assert run(nested, source).stdout == b"1000\nRead-only file system\n"


def test_the_jail_outlives_programs_that_run_out_of_memory():
    hog = "import os\nfor _ in range(20):\n    if os.fork() == 0:\n        x = bytearray(b'1') * 10**7\n"
    hog += "import time; time.sleep(2)"
    with BubblewrapExecutor(blueprint(), find_hierarchies(), 1, {}) as executor:
        assert run(executor, hog, memory_bytes=64 * 2**20).outcome == "memory"
        assert run(executor, "print(1)").stdout == b"1\n"
        assert executor._count == 1


def test_many_threads_run_programs_at_once(nested):
    def one(number):
        return run(nested, "import sys; x = int(input()); sys.exit(x % 7); ", str(number).encode()).exit_code

    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(one, range(120))) == [number % 7 for number in range(120)]


def test_a_fork_bomb_beside_a_program_does_not_disturb_it(nested):
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    honest = "print(sum(i * i for i in range(300_000)))"
    with ThreadPoolExecutor(2) as pool:
        hostile = pool.submit(run, nested, bomb, cpu_seconds=2, wall_seconds=4)
        results = [run(nested, honest, wall_seconds=20) for _ in range(10)]
    assert {result.stdout for result in results} == {b"8999955000050000\n"}
    assert hostile.result().outcome == "time"


def test_the_clock_starts_with_the_program_not_with_the_wait_for_a_place():
    with open_executor(BubblewrapSandbox(max_parallel=1)) as executor, ThreadPoolExecutor(4) as pool:
        source = "import time; time.sleep(0.4); print('done')"
        results = list(pool.map(lambda _: run(executor, source, wall_seconds=1.0), range(4)))
    assert [result.stdout for result in results] == [b"done\n"] * 4
    assert all(result.wall_seconds < 1.0 for result in results)


@pytest.mark.parametrize("is_nested", [True, False])
def test_nothing_is_left_after_close(is_nested):
    before = open_files()
    threads = threading.active_count()
    executor = BubblewrapExecutor(blueprint(nested=is_nested), find_hierarchies(), 2, {})
    for source in (
        "print(1)",
        "import os; os.fork(); os.fork(); open('/tmp/x', 'w')",
        "while True: print('x' * 999)",
    ):
        run(executor, source)
    assert traces(os.getpid())
    executor.close()
    executor.close()
    mine = [trace for trace in traces(os.getpid()) if f"-{id(executor._groups):x}" in trace]
    assert mine == []
    assert open_files() == before
    assert threading.active_count() == threads
    with pytest.raises(SandboxError, match="closed"):
        run(executor, "print(1)")


def test_a_jail_that_dies_is_replaced():
    with BubblewrapExecutor(blueprint(), find_hierarchies(), 1, {}) as executor:
        run(executor, "print(1)")
        (jail,) = executor._idle
        jail._process.kill()
        jail._process.wait()
        assert run(executor, "print(2)").stdout == b"2\n"
        assert executor._count == 2


def test_a_keeper_that_is_killed_while_it_serves_is_replaced():
    others = set(psutil.Process().children())

    def jails():
        return [
            process
            for process in psutil.Process().children()
            if process not in others and process.name() == "bwrap"
        ]

    with (
        BubblewrapExecutor(blueprint(), find_hierarchies(), 1, {}) as executor,
        ThreadPoolExecutor(1) as pool,
    ):
        pending = pool.submit(run, executor, "import time; time.sleep(60)")
        assert eventually(lambda: len(jails()) == 1 and len(jails()[0].children(recursive=True)) >= 4)
        jails()[0].kill()
        execution = pending.result(timeout=60)
        assert (execution.outcome, execution.detail) == ("signalled", "killed together with its sandbox")
        assert run(executor, "print(3)").stdout == b"3\n"


def test_a_group_that_cannot_be_removed_is_left_to_the_janitor(caplog, monkeypatch):
    with BubblewrapExecutor(blueprint(), find_hierarchies(), 1, {}) as executor:
        run(executor, "print(1)")
        (jail,) = executor._idle
        if jail.group is None:
            pytest.skip("no control group may be made on this machine")
        remove = jail.group.remove

        def refuse():
            remove()
            raise OSError(16, "Device or resource busy")

        monkeypatch.setattr(jail.group, "remove", refuse)
    assert "left to its janitor" in caplog.text


CHILD = """
import sys, threading, time
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Limits
executor = open_executor(BubblewrapSandbox(max_parallel=2))
source = "import os, time\\nfor _ in range(3): os.fork()\\nif os.getpid() != 2: os.setsid()\\ntime.sleep(600)"
for _ in range(2):
    threading.Thread(target=executor.run_python, args=(source, b"", {}, Limits(wall_seconds=500)), daemon=True).start()
time.sleep(1)
print("running", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_dunwu(number):
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"running\n"
        family = psutil.Process(child.pid)
        assert eventually(lambda: len(family.children(recursive=True)) >= 2 * 8)
        started = family.children(recursive=True)
        assert traces(child.pid)
        child.send_signal(number)
        child.wait(30)
        assert eventually(lambda: not any(process.is_running() for process in started))
        assert eventually(lambda: not traces(child.pid)), traces(child.pid)
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def elsewhere():
    """A folder that is not in /tmp, where a sandbox has its own, and that others cannot enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def test_other_folders_can_be_shown(elsewhere):
    tmp_path = elsewhere
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "shown.py").write_text("VALUE = 11")
    (tmp_path / "words.txt").write_text("one two")
    (tmp_path / "words.txt").chmod(0o666)
    (tmp_path / "hidden.txt").write_text("secret")
    config = BubblewrapSandbox(
        max_parallel=1,
        python_path=(str(tmp_path / "package"),),
        read_only_paths=(str(tmp_path / "words.txt"),),
    )
    source = f"""
import os, shown
print(shown.VALUE, open({str(tmp_path / "words.txt")!r}).read(), sorted(os.listdir({str(tmp_path)!r})))
open({str(tmp_path / "words.txt")!r}, 'a')
"""
    with open_executor(config) as executor:
        for execution in (run(executor, source), executor.run(Command(("python3", "-c", source)), LIMITS)):
            assert execution.stdout == b"11 one two ['package', 'words.txt']\n"
            assert b"Read-only file system" in execution.stderr


def test_another_interpreter_can_be_named():
    with open_executor(BubblewrapSandbox(max_parallel=1, python="/usr/bin/python3")) as executor:
        assert run(executor, "import sys; print(sys.prefix)").stdout == b"/usr\n"
        command = Command(("python3", "-c", "import sys; print(sys.prefix)"))
        assert executor.run(command, LIMITS).stdout == b"/usr\n"


def test_what_a_private_folder_would_hide_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="lies in /tmp, where every program has a folder of its own"):
        open_executor(BubblewrapSandbox(read_only_paths=(str(tmp_path),)))


@pytest.mark.parametrize(
    ("key", "value"), [("python", "/no/such/python"), ("read_only_paths", ("/no/such/file",))]
)
def test_what_is_not_there_cannot_be_shown(key, value):
    with pytest.raises(ConfigError, match=f"sandbox.{key}.*/no/such"):
        open_executor(BubblewrapSandbox(**{key: value}))
