"""The HTTP executor against a small service that speaks Piston's API and really runs what it is sent, in bubblewrap."""

from __future__ import annotations

import base64
import json
import signal
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dunwu.config.sandbox import HttpSandbox
from dunwu.errors import DependencyError, SandboxError
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.piston import HttpExecutor, read_stage, translate, translate_compilation
from dunwu.sandbox.records import Command, Limits

from .conftest import LIMITS

RUN = {"python": ("python3",), "javascript": ("node",)}
STATUS = {"time": "TO", "output": "OL", "signalled": "SG", "memory": "SG"}


class Service(ThreadingHTTPServer):
    """Piston's two calls, over an executor."""

    daemon_threads = True

    def __init__(self, executor):
        super().__init__(("127.0.0.1", 0), Handler)
        self.executor = executor
        self.jobs = []
        self.runtimes = [
            {"language": name, "version": "1.0.0", "aliases": []} for name in ("python", "c++", "javascript")
        ]
        self.url = f"http://127.0.0.1:{self.server_address[1]}/api/v2"

    def execute(self, job):
        """As Piston: files in utf8 are the sources, the first is the program; a compiled language compiles all of them."""
        self.jobs.append(job)
        files = {file["name"]: decode(file) for file in job["files"]}
        sources = [file["name"] for file in job["files"] if file["encoding"] == "utf8"]
        limits = replace(
            LIMITS, wall_seconds=job["run_timeout"] / 1000, cpu_seconds=job["run_cpu_time"] / 1000
        )
        limits = replace(limits, memory_bytes=job["run_memory_limit"])
        answer = {"language": job["language"], "version": "1.0.0"}
        if job["language"] == "c++":
            build = Command(("g++", *sources, "-o", "a.out"), files=files)
            execution, left = self.executor.compile(
                build, replace(limits, wall_seconds=job["compile_timeout"] / 1000), ["a.out"]
            )
            answer["compile"] = stage(execution)
            if execution.exit_code != 0:
                return answer
            argv, files = ("./a.out", *job["args"]), {**files, **left}
        else:
            argv = (*RUN[job["language"]], sources[0], *job["args"])
        answer["run"] = stage(self.executor.run(Command(argv, job["stdin"].encode(), files), limits))
        return answer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, self.server.runtimes if self.path == "/api/v2/runtimes" else {})

    def do_POST(self):
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if job["language"] not in ("python", "c++", "javascript"):
            self.answer(400, {"message": f"{job['language']}-{job['version']} runtime is unknown"})
        else:
            self.answer(200, self.server.execute(job))

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def decode(file):
    return base64.b64decode(file["content"]) if file["encoding"] == "base64" else file["content"].encode()


def stage(execution):
    killed = execution.outcome != "exited"
    name = signal.Signals(execution.signal or signal.SIGKILL).name
    return {
        "stdout": execution.stdout.decode(),
        "stderr": execution.stderr.decode(),
        "output": (execution.stdout + execution.stderr).decode(),
        "code": execution.exit_code,
        "signal": name if killed else None,
        "message": execution.detail or None,
        "status": STATUS.get(execution.outcome, "RE" if execution.exit_code else None),
        "cpu_time": round(execution.cpu_seconds * 1000),
        "wall_time": round(execution.wall_seconds * 1000),
        "memory": execution.peak_memory_bytes,
    }


@pytest.fixture(scope="module")
def service(nested):
    server = Service(nested)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def http(service):
    service.jobs.clear()
    with open_executor(HttpSandbox(url=service.url + "/", versions={"python": "3.11.x"})) as executor:
        yield executor


def test_python_runs_with_files_stdin_and_arguments(http, service):
    execution = http.run_python(
        "import note; print(note.X, input())", "顿悟\n".encode(), {"note.py": b"X = 5"}, LIMITS
    )
    assert (execution.outcome, execution.exit_code, execution.stdout.decode()) == ("exited", 0, "5 顿悟\n")
    assert 0 < execution.cpu_seconds < 5
    assert execution.peak_memory_bytes > 0
    (job,) = service.jobs
    assert (job["language"], job["version"]) == ("python", "3.11.x")
    assert [(file["name"], file["encoding"]) for file in job["files"]] == [
        ("main.py", "utf8"),
        ("note.py", "base64"),
    ]
    command = Command(
        ("python3", "go.py", "a", "b c"), files={"go.py": b"import sys; print(sys.argv[1:]); sys.exit(4)"}
    )
    execution = http.run(command, LIMITS)
    assert (execution.exit_code, execution.stdout) == (4, b"['a', 'b c']\n")


def test_limits_are_passed_on_and_their_outcomes_told(http, service):
    limits = Limits(cpu_seconds=0.4, wall_seconds=5, memory_bytes=128 * 2**20, output_bytes=1000)
    assert http.run_python("while True: pass", b"", {}, limits).outcome == "time"
    (job,) = service.jobs
    assert (job["run_timeout"], job["run_cpu_time"], job["run_memory_limit"]) == (5000, 400, 128 * 2**20)
    flood = http.run_python("print('x' * 5000)", b"", {}, limits)
    assert (flood.outcome, flood.stdout) == ("output", b"x" * 1000)
    killed = http.run_python("import os; os.abort()", b"", {}, limits)
    assert (killed.outcome, killed.signal) == ("signalled", signal.SIGABRT)
    unhurried = replace(limits, cpu_seconds=5)  # so that a slow machine does not run out of time first
    assert http.run_python("x = bytearray(10**9)", b"", {}, unhurried).outcome == "memory"


def test_a_compiled_program_is_its_sources(http, service):
    files = {
        "main.cpp": b'#include "twice.h"\n#include <iostream>\nint main() { int x; std::cin >> x; std::cout << twice(x); }',
        "twice.h": b"int twice(int);",
        "twice.cpp": b"int twice(int x) { return 2 * x; }",
    }
    command = Command(("g++", "-O2", "-std=c++17", "main.cpp", "twice.cpp", "-o", "main"), files=files)
    built, left = http.compile(command, LIMITS, ["main"])
    assert (built.outcome, built.exit_code) == ("exited", 0)
    assert set(left) == {"main"}
    execution = http.run(Command(("./main",), b"21", {**left, "extra.txt": b"x"}), LIMITS)
    assert (execution.outcome, execution.stdout) == ("exited", b"42")
    assert [file["name"] for file in service.jobs[-1]["files"]] == [
        "main.cpp",
        "twice.cpp",
        "twice.h",
        "extra.txt",
    ]


def test_a_compiler_error_is_told(http):
    built, left = http.compile(
        Command(("g++", "a.cpp", "-o", "a"), files={"a.cpp": b"int main() { x }"}), LIMITS, ["a"]
    )
    assert built.exit_code == 1
    assert b"was not declared" in built.stderr
    assert left == {}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Command(("bash", "-c", "ls")), "runs languages"),
        (Command(("python3", "-c", "print(1)")), "runs languages"),
        (Command(("python3", "a.py"), files={"a.py": b""}, env={"A": "1"}), "no environment"),
        (Command(("python3", "a.py"), b"\xff", {"a.py": b"1"}), "utf-8"),
        (Command(("python3", "a.py"), b"", {"a.py": b"\xff"}), "utf-8"),
    ],
)
def test_what_the_service_cannot_run_is_refused(http, service, command, words):
    execution = http.run(command, LIMITS)
    assert execution.outcome == "refused"
    assert words in execution.detail
    assert service.jobs == []


@pytest.mark.parametrize("argv", [("clang", "a.cpp"), ("g++", "missing.cpp")])
def test_what_the_service_cannot_compile_is_refused(http, argv):
    execution, left = http.compile(Command(argv, files={"a.cpp": b""}), LIMITS, ["a"])
    assert (execution.outcome, left) == ("refused", {})


def test_an_answer_of_400_is_an_error(http):
    command = translate_compilation(Command(("gcc", "a.c", "-o", "a"), files={"a.c": b"int main() {}"}))
    with pytest.raises(SandboxError, match=r"answers 400: .*c-\* runtime is unknown"):
        http._execute(command, run=LIMITS, compilation=LIMITS)


def test_a_service_without_languages_is_refused(service, monkeypatch):
    monkeypatch.setattr(service, "runtimes", [])
    with pytest.raises(DependencyError, match="has no language; install one"):
        open_executor(HttpSandbox(url=service.url))


def test_a_service_that_is_gone_is_an_error():
    with (
        HttpExecutor(HttpSandbox(url="http://127.0.0.1:1")) as executor,
        pytest.raises(SandboxError, match="does not answer"),
    ):
        executor.run_python("1", b"", {}, LIMITS)


def test_an_answer_that_is_no_json_is_an_error(service, monkeypatch):
    monkeypatch.setattr(
        Handler, "answer", lambda self, code, body: self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n<html>")
    )
    with (
        HttpExecutor(HttpSandbox(url=service.url)) as executor,
        pytest.raises(SandboxError, match="does not answer"),
    ):
        executor.run_python("1", b"", {}, LIMITS)


def test_a_closed_one_runs_nothing(service):
    executor = HttpExecutor(HttpSandbox(url=service.url))
    executor.close()
    with pytest.raises(SandboxError, match="closed"):
        executor.run_python("print(1)", b"", {}, LIMITS)


def test_wrong_commands_are_errors_as_elsewhere(http):
    with pytest.raises(ValueError, match="leaves the program's folder"):
        http.run(Command(("python3", "a.py"), files={"../a.py": b""}), LIMITS)
    with pytest.raises(ValueError, match="limit wall_seconds"):
        http.run_python("1", b"", {}, replace(LIMITS, wall_seconds=0))


def test_an_older_service_says_less():
    old = {"stdout": "", "stderr": "", "output": "", "code": None, "signal": "SIGKILL"}
    execution = read_stage(old, LIMITS)
    assert (execution.outcome, execution.signal, execution.peak_memory_bytes) == ("signalled", 9, None)
    assert read_stage({"stdout": "a", "code": 0, "signal": None}, LIMITS).stdout == b"a"
    assert read_stage({**old, "signal": "SIGNEW"}, LIMITS).signal == 9
    assert read_stage({**old, "memory": LIMITS.memory_bytes}, LIMITS).outcome == "memory"


def test_the_entry_file_goes_first():
    job = translate(Command(("node", "b.js"), files={"a.js": b"1", "b.js": b"2"}))
    assert [file["name"] for file in job["files"]] == ["b.js", "a.js"]
    assert job["language"] == "javascript"
