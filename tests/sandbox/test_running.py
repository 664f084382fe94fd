"""What a program sees of its run, and how its end is told; the same in every executor that a keeper watches."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest

from dunwu.sandbox.records import Command

from .conftest import LIMITS

WRITE_ENVIRONMENT = """
import json, os, sys
print(json.dumps({"env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv, "files": sorted(os.listdir("."))}))
"""


def run(executor, source, stdin=b"", files=None, **limits):
    return executor.run_python(source, stdin, files or {}, replace(LIMITS, **limits))


def test_a_python_program_reads_writes_and_exits(executor):
    execution = run(
        executor, "import sys\nprint(int(input()) * 2)\nprint('oh', file=sys.stderr)\nsys.exit(3)", b"21\n"
    )
    assert (execution.outcome, execution.exit_code, execution.signal) == ("exited", 3, None)
    assert (execution.stdout, execution.stderr) == (b"42\n", b"oh\n")
    assert 0 <= execution.wall_seconds < 5
    assert 0 < execution.cpu_seconds < 5
    assert execution.peak_memory_bytes is not None
    assert 0 < execution.peak_memory_bytes < 2**27


def test_a_command_gets_its_files_stdin_environment_and_folder(executor):
    files = {"tell.py": WRITE_ENVIRONMENT.encode(), "data/a.txt": b"A"}
    execution = executor.run(Command(("python3", "tell.py", "x"), b"", files, {"COLOUR": "red"}), LIMITS)
    seen = json.loads(execution.stdout)
    assert seen["argv"] == ["tell.py", "x"]
    assert seen["files"] == ["data", "tell.py"]
    assert seen["env"]["COLOUR"] == "red"
    assert set(seen["env"]) - {"LC_CTYPE"} == {"COLOUR", "PATH", "HOME", "LANG", "PYTHONHASHSEED"}


def test_nothing_of_our_environment_reaches_a_program(executor, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "secret")
    assert b"secret" not in executor.run(Command(("/usr/bin/env",)), LIMITS).stdout
    assert "secret" not in run(executor, "import os; print(os.environ)").stdout.decode()


def test_runs_share_no_files(executor):
    first = run(executor, "for p in ('a.txt', '/tmp/dunwu-test-leftover'): open(p, 'w').write('x')")
    assert first.outcome == "exited"
    second = run(executor, "import os; print(os.listdir('.'))")
    assert second.stdout == b"['main.py']\n"


def test_a_compiled_program_comes_back_and_runs(executor):
    source = b'#include <iostream>\nint main() { int x; std::cin >> x; std::cout << x + 1 << "\\n"; }\n'
    built, left = executor.compile(
        Command(("g++", "-O1", "main.cpp", "-o", "main"), files={"main.cpp": source}),
        LIMITS,
        ["main", "other"],
    )
    assert (built.outcome, built.exit_code) == ("exited", 0), built.stderr
    assert set(left) == {"main"}
    execution = executor.run(Command(("./main",), b"41", left), LIMITS)
    assert execution.stdout == b"42\n"


def test_a_compiler_error_is_told(executor):
    command = Command(("g++", "main.cpp", "-o", "main"), files={"main.cpp": b"int main() { return x; }"})
    built, left = executor.compile(command, LIMITS, ["main"])
    assert built.exit_code == 1
    assert b"was not declared" in built.stderr
    assert left == {}


def test_javascript_runs_where_node_is(executor):
    files = {"main.js": b"process.stdin.on('data', d => console.log(d.toString().trim() + '!'))"}
    execution = executor.run(
        Command(("node", "main.js"), b"hi\n", files), replace(LIMITS, memory_bytes=2**30)
    )
    assert (execution.outcome, execution.stdout) == ("exited", b"hi!\n"), execution


@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV", "SIGTERM", "SIGKILL"])
def test_death_by_a_signal_is_told(executor, name):
    execution = run(executor, f"import os, signal; os.kill(os.getpid(), signal.{name})")
    assert (execution.outcome, execution.exit_code) == ("signalled", None)
    assert execution.signal == signal.Signals[name]
    assert execution.detail


def test_an_endless_loop_is_stopped_at_its_processor_time(executor):
    execution = run(executor, "print('x', flush=True)\nwhile True: pass", cpu_seconds=0.3)
    assert execution.outcome == "time"
    assert "processor" in execution.detail
    assert execution.cpu_seconds >= 0.3
    assert execution.stdout == b"x\n"


def test_processor_time_is_that_of_all_processes(executor):
    source = "import os\nfor _ in range(4): os.fork()\nwhile True: pass"
    execution = run(executor, source, cpu_seconds=0.5)
    assert execution.outcome == "time"
    assert "processor" in execution.detail


def test_sleep_is_stopped_at_its_wall_time(executor):
    execution = run(executor, "import time\ntime.sleep(60)", wall_seconds=0.3)
    assert execution.outcome == "time"
    assert "stopped at 0.3 s" in execution.detail
    assert 0.3 <= execution.wall_seconds < 10
    assert execution.cpu_seconds < 0.3


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_output_is_stopped_and_cut(executor, stream):
    execution = run(executor, f"import sys\nwhile True: sys.{stream}.write('x' * 1000)", output_bytes=5000)
    assert execution.outcome == "output"
    assert getattr(execution, stream) == b"x" * 5000


def test_output_of_exactly_the_limit_is_no_flood(executor):
    execution = run(executor, "print('x' * 4999)", output_bytes=5000)
    assert (execution.outcome, len(execution.stdout)) == ("exited", 5000)


def test_too_much_memory_is_told(executor):
    execution = run(executor, "x = bytearray(10**9)\nprint(len(x))", memory_bytes=64 * 2**20)
    assert execution.outcome == "memory"
    assert execution.detail
    assert (execution.exit_code, execution.signal, execution.stdout) == (None, None, b"")


def test_memory_touched_little_by_little_in_many_processes_is_told(executor):
    source = """
import os, time
for _ in range(5): os.fork()
kept = []
for _ in range(100):
    kept.append(bytearray(b'x') * 1_000_000)
    time.sleep(0.01)
"""
    execution = run(executor, source, memory_bytes=96 * 2**20, processes=40)
    assert execution.outcome == "memory", execution


def test_a_child_that_takes_too_much_memory_ends_the_run_though_its_parent_waits(isolated):
    source = "import os, time\nif os.fork() == 0:\n    x = [bytearray(b'x') * 10**7 for _ in range(50)]\ntime.sleep(600)"
    execution = run(isolated, source, memory_bytes=96 * 2**20)
    assert (execution.outcome, execution.detail) == ("memory", "used more memory than allowed")


def test_memory_denied_in_cpp_is_told(executor):
    source = b"#include <vector>\nint main() { std::vector<char> v(1ul << 46); return v[5]; }"
    _, left = executor.compile(Command(("g++", "a.cpp", "-o", "a"), files={"a.cpp": source}), LIMITS, ["a"])
    execution = executor.run(Command(("./a",), files=left), LIMITS)
    assert execution.outcome == "memory"


def test_memory_within_the_limit_is_granted(executor):
    execution = run(executor, "x = bytearray(b'x') * 150_000_000\nprint(len(x))")
    assert (execution.outcome, execution.stdout) == ("exited", b"150000000\n")
    assert execution.peak_memory_bytes >= 140_000_000


def test_a_program_that_is_not_there_is_refused(executor):
    execution = executor.run(Command(("no-such-program",)), LIMITS)
    assert (execution.outcome, execution.exit_code) == ("refused", None)
    assert "no-such-program" in execution.detail


def test_what_cannot_be_executed_is_refused(executor):
    execution = executor.run(Command(("./main.txt",), files={"main.txt": b"hello"}), LIMITS)
    assert execution.outcome == "refused"
    assert "cannot be started" in execution.detail


def test_a_daemon_dies_with_the_program(executor):
    source = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(0.2)
        print('daemon', flush=True)
        time.sleep(100)
    os._exit(0)
print('main', flush=True)
os._exit(0)
"""
    execution = run(executor, source)
    assert (execution.outcome, execution.stdout) == ("exited", b"main\n")
    assert execution.wall_seconds < 10


def test_only_regular_files_are_read_back(executor):
    source = """
import os
os.symlink('/etc/passwd', 'link')
os.mkfifo('pipe')
os.mkdir('folder')
os.symlink('/dev/zero', 'zero')
open('folder/inner.txt', 'w').write('inner')
open('real.txt', 'w').write('real')
"""
    files = {"main.py": source.encode()}
    names = ["link", "pipe", "folder", "zero", "real.txt", "folder/inner.txt", "missing"]
    execution, left = executor.compile(Command(("python3", "main.py"), files=files), LIMITS, names)
    assert execution.exit_code == 0
    assert left == {"real.txt": b"real", "folder/inner.txt": b"inner"}


def test_bytes_pass_unchanged(executor):
    data = bytes(range(256)) * 40
    source = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read() + open('blob', 'rb').read())"
    execution = run(executor, source, data, {"blob": data[::-1]})
    assert execution.stdout == data + data[::-1]


def test_a_large_input_passes(executor):
    data = b"0123456789" * 300_000
    assert run(executor, "import sys; print(len(sys.stdin.read()))", data).stdout == b"3000000\n"


def test_a_file_that_is_too_large_cannot_be_written(executor):
    source = "try:\n    open('big', 'wb').write(bytes(40_000_000))\nexcept OSError as error:\n    print(error.errno)"
    execution = run(executor, source)
    assert execution.stdout in (b"27\n", b"28\n")  # file too large, or no space left


def test_threads_and_processes_are_bounded(isolated):
    source = """
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        count += 1
except OSError:
    pass
print(count)
"""
    execution = run(isolated, source, processes=20)
    assert execution.outcome == "exited"
    assert int(execution.stdout) == 19


def test_a_command_without_argv_is_an_error(executor):
    with pytest.raises(ValueError, match="argv"):
        executor.run(Command(()), LIMITS)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "", "a\0b"])
def test_a_file_outside_the_folder_is_an_error(executor, name):
    with pytest.raises(ValueError, match="leaves the program's folder"):
        executor.run(Command(("true",), files={name: b""}), LIMITS)
    with pytest.raises(ValueError, match="leaves the program's folder"):
        executor.compile(Command(("true",)), LIMITS, [name])


@pytest.mark.parametrize(
    "name", ["cpu_seconds", "wall_seconds", "memory_bytes", "output_bytes", "processes", "file_bytes"]
)
def test_a_limit_of_nothing_is_an_error(executor, name):
    with pytest.raises(ValueError, match=f"limit {name} is 0"):
        run(executor, "print(1)", **{name: 0})
