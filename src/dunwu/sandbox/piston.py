"""Runs programs through a service that speaks Piston's API, version 2.

The service knows languages, not commands: a command is translated where it has the form that the code reward uses ("python3 FILE
ARG...", "node FILE ARG...", "g++ ... -o NAME", then "./NAME"). Piston does not give compiled programs back, so that the "binary"
of a compilation is its sources, compiled again by the service for each run.

Source: Piston's docs/api-v2.md. Isolation is the service's business; nothing here checks it.
"""

from __future__ import annotations

import base64
import http.client
import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dunwu.config.sandbox import HttpSandbox
from dunwu.errors import DependencyError, SandboxError
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.memory import judge_memory
from dunwu.sandbox.records import Command, Execution, Limits
from dunwu.sandbox.requests import check_command

_INTERPRETERS = {"python": "python", "python3": "python", "node": "javascript"}
_COMPILERS = {"g++": ("c++", (".cpp", ".cc", ".cxx")), "gcc": ("c", (".c",))}
_ARTEFACT = b"dunwu sources for piston\n"
_OUTCOMES = {"TO": "time", "OL": "output", "EL": "output"}
_NEAR_FULL = 0.95
_NO_RUN_SECONDS = 0.1
_PING_SECONDS = 20.0


class HttpExecutor(Executor):
    """Runs programs through Piston (see Executor)."""

    def __init__(self, config: HttpSandbox) -> None:
        self._config = config
        self._url = config.url.rstrip("/")
        self._places = threading.BoundedSemaphore(config.max_parallel)
        self._closed = False

    def check_service(self) -> None:
        """Make sure that the service answers and can run something.

        Raises:
            DependencyError: it does not answer, or it has no language installed.
        """
        try:
            runtimes = self._call("runtimes", None, _PING_SECONDS)
        except SandboxError as error:
            raise DependencyError(
                f"sandbox.url: {error}; start Piston there (docker run --privileged -p 2000:2000 ghcr.io/engineer-man/piston), "
                "or correct the address"
            ) from error
        if not runtimes:
            raise DependencyError(
                f"the sandbox service at {self._url} has no language; install one: POST {self._url}/packages"
            )

    def run(self, command: Command, limits: Limits) -> Execution:
        """See Executor."""
        check_command(command, limits, ())
        try:
            job = translate(command)
        except ValueError as error:
            return _refused(error)
        _, execution = self._execute(job, run=limits, compilation=limits)
        return execution

    def compile(
        self, command: Command, limits: Limits, outputs: Sequence[str]
    ) -> tuple[Execution, Mapping[str, bytes]]:
        """See Executor. The service also starts what it compiled, for a moment and without input; how that ends is not
        looked at."""
        check_command(command, limits, tuple(outputs))
        try:
            job = translate_compilation(command)
        except ValueError as error:
            return _refused(error), {}
        compiled, _ = self._execute(
            job, run=replace(limits, wall_seconds=_NO_RUN_SECONDS), compilation=limits
        )
        if compiled.outcome != "exited" or compiled.exit_code != 0:
            return compiled, {}
        return compiled, dict.fromkeys(outputs, _ARTEFACT + json.dumps(job).encode())

    def run_python(self, source: str, stdin: bytes, files: Mapping[str, bytes], limits: Limits) -> Execution:
        """See Executor."""
        return self.run(Command(("python3", "main.py"), stdin, {**files, "main.py": source.encode()}), limits)

    def describe(self) -> Mapping[str, str]:
        """See Executor."""
        return {"sandbox": f"the service at {self._url}", "isolation": "the service's own, not checked here"}

    def close(self) -> None:
        """See Executor."""
        self._closed = True

    def _execute(
        self, job: dict[str, Any], *, run: Limits, compilation: Limits
    ) -> tuple[Execution, Execution]:
        """Have the service compile, where the language wants it, and run; return how each ended."""
        body = {
            **job,
            "version": self._config.versions.get(job["language"], "*"),
            "compile_timeout": _milliseconds(compilation.wall_seconds),
            "compile_cpu_time": _milliseconds(compilation.cpu_seconds),
            "compile_memory_limit": compilation.memory_bytes,
            "run_timeout": _milliseconds(run.wall_seconds),
            "run_cpu_time": _milliseconds(run.cpu_seconds),
            "run_memory_limit": run.memory_bytes,
        }
        with self._places:
            if self._closed:
                raise SandboxError("this sandbox is closed; open another")
            patience = run.wall_seconds + compilation.wall_seconds + self._config.timeout_seconds
            answer = self._call("execute", body, patience)
        compiled = read_stage(answer.get("compile") or {"code": 0}, compilation)
        ran = answer.get("run")
        return compiled, compiled if ran is None else read_stage(ran, run)

    def _call(self, path: str, body: dict[str, Any] | None, patience_seconds: float) -> Any:
        """Ask the service; its answer as JSON gives it."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._url}/{path}", data=data, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=patience_seconds) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(4096).decode(errors="replace")
            raise SandboxError(f"the sandbox service at {self._url} answers {error.code}: {said}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SandboxError(f"the sandbox service at {self._url} does not answer: {error}") from error


def translate(command: Command) -> dict[str, Any]:
    """Return what the service is to run.

    Raises:
        ValueError: the command has no form that the service knows.
    """
    if command.env:
        raise ValueError("this service passes no environment to programs")
    program, *rest = command.argv
    artefact = command.files.get(program.removeprefix("./"), b"")
    if artefact.startswith(_ARTEFACT):
        job = json.loads(artefact.removeprefix(_ARTEFACT))
        others = {name: content for name, content in command.files.items() if content != artefact}
        return {
            **_job(job["language"], {}, others, command.stdin, rest),
            "files": job["files"] + _attach(others),
        }
    if program in _INTERPRETERS and rest and rest[0] in command.files:
        name, *arguments = rest
        others = {other: content for other, content in command.files.items() if other != name}
        return _job(_INTERPRETERS[program], {name: command.files[name]}, others, command.stdin, arguments)
    raise ValueError(f"this service runs languages, not commands such as {' '.join(command.argv)!r}")


def translate_compilation(command: Command) -> dict[str, Any]:
    """Return what the service is to compile: the source files that the command names. Its options are the service's own.

    Raises:
        ValueError: the command is no call of a compiler that the service has.
    """
    if command.argv[0] not in _COMPILERS:
        raise ValueError(f"this service cannot compile with {' '.join(command.argv)!r}")
    language, endings = _COMPILERS[command.argv[0]]
    named = [name for name in command.argv[1:] if name in command.files and name.endswith(endings)]
    if not named:
        raise ValueError(f"{' '.join(command.argv)!r} names no source file")
    others = {name: content for name, content in command.files.items() if name not in named}
    return _job(language, {name: command.files[name] for name in named}, others, b"", [])


def _job(
    language: str,
    sources: Mapping[str, bytes],
    others: Mapping[str, bytes],
    stdin: bytes,
    arguments: Sequence[str],
) -> dict[str, Any]:
    """Put together a job. Piston takes the files in utf8 for sources, the first for the program, and leaves the others."""
    files = [
        {"name": name, "content": content.decode(), "encoding": "utf8"} for name, content in sources.items()
    ]
    return {
        "language": language,
        "files": files + _attach(others),
        "stdin": stdin.decode(),
        "args": list(arguments),
    }


def _attach(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    return [
        {"name": name, "content": base64.b64encode(content).decode(), "encoding": "base64"}
        for name, content in files.items()
    ]


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _refused(error: ValueError) -> Execution:
    return Execution("refused", None, None, b"", b"", 0.0, 0.0, None, str(error))


def read_stage(stage: Mapping[str, Any], limits: Limits) -> Execution:
    """Return how a stage ended, from what Piston says about it; older versions say less."""
    stdout, stderr = stage.get("stdout", "").encode(), stage.get("stderr", "").encode()
    number = _signal_number(stage.get("signal"))
    memory = stage.get("memory")
    outcome = _OUTCOMES.get(stage.get("status") or "") or ("exited" if number is None else "signalled")
    if len(stdout) > limits.output_bytes or len(stderr) > limits.output_bytes:
        outcome = "output"
    if outcome == "signalled" and memory is not None and memory >= _NEAR_FULL * limits.memory_bytes:
        outcome = "memory"
    execution = Execution(
        outcome=outcome,  # type: ignore[arg-type]
        exit_code=stage.get("code") if outcome == "exited" else None,
        signal=number if outcome == "signalled" else None,
        stdout=stdout[: limits.output_bytes],
        stderr=stderr[: limits.output_bytes],
        wall_seconds=(stage.get("wall_time") or 0) / 1000,
        cpu_seconds=(stage.get("cpu_time") or 0) / 1000,
        peak_memory_bytes=memory,
        detail=stage.get("message") or "",
    )
    return judge_memory(execution, None)


def _signal_number(name: str | None) -> int | None:
    if not name:
        return None
    try:
        return int(signal.Signals[name])
    except KeyError:
        return int(signal.SIGKILL)
