"""From a command and its limits to the keeper's request, and from the keeper's answer to an execution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from dunwu.sandbox.inside.request import Request
from dunwu.sandbox.records import Command, Execution, Limits

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_MOST_STACK_BYTES = 256 * 2**20
_LEAST_STACK_BYTES = 8 * 2**20
_RESERVING_RUNTIMES = ("node", "nodejs", "deno", "bun", "java", "go")
_UNTOUCHED_BYTES = 128 * 2**20  # stacks of threads and the like: asked for, never used


def base_environment(path: str = SYSTEM_PATH) -> dict[str, str]:
    """Return what a program's environment holds beside what its command names. The hash seed makes verdicts repeatable."""
    return {"PATH": path, "HOME": "/work", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


def check_command(command: Command, limits: Limits, outputs: tuple[str, ...]) -> None:
    """Make sure that a command can be run at all.

    Raises:
        ValueError: a file's name leaves the folder, a limit is not positive, or there is nothing to run.
    """
    for name in (*command.files, *outputs):
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or "\0" in name:
            raise ValueError(
                f"file name {name!r} leaves the program's folder; use a relative path without '..'"
            )
    for name, value in vars(limits).items():
        if not value > 0:
            raise ValueError(f"limit {name} is {value}; it must be positive")
    if not command.argv and "main.py" not in command.files:
        raise ValueError("a command needs argv")


def build_request(
    command: Command,
    limits: Limits,
    outputs: tuple[str, ...],
    env: Mapping[str, str],
    *,
    memory_is_bound: bool,
) -> Request:
    """Return what the keeper is asked.

    Args:
        memory_is_bound: control groups hold the program to its memory; else the keeper does.
    Raises:
        ValueError: a file's name leaves the folder, a limit is not positive, or there is nothing to run.
    """
    check_command(command, limits, outputs)
    return Request(
        argv=command.argv,
        env={**env, **command.env},
        files=dict(command.files),
        stdin=command.stdin,
        outputs=outputs,
        cpu_seconds=limits.cpu_seconds,
        wall_seconds=limits.wall_seconds,
        output_bytes=limits.output_bytes,
        processes=limits.processes,
        file_bytes=limits.file_bytes,
        data_bytes=0
        if memory_is_bound or _asks_for_more(command)
        else limits.memory_bytes + _UNTOUCHED_BYTES,
        resident_bytes=0 if memory_is_bound else limits.memory_bytes,
        stack_bytes=max(_LEAST_STACK_BYTES, min(limits.memory_bytes, _MOST_STACK_BYTES)),
    )


def _asks_for_more(command: Command) -> bool:
    """Whether a program's runtime reserves far more memory than it uses, and cannot start without."""
    return bool(command.argv) and PurePosixPath(command.argv[0]).name in _RESERVING_RUNTIMES


def python_command(source: str, stdin: bytes, files: Mapping[str, bytes]) -> Command:
    """Return the command that the keeper takes for "run main.py in a fork of yourself"."""
    return Command((), stdin, {**files, "main.py": source.encode(errors="surrogatepass")})


def read_answer(header: dict[str, Any], blobs: list[bytes]) -> tuple[Execution, dict[str, bytes]]:
    """Return the execution, and the files that were asked for and left."""
    stdout, stderr, *left = blobs
    execution = Execution(
        outcome=header["outcome"],
        exit_code=header.get("exit_code"),
        signal=header.get("signal"),
        stdout=stdout,
        stderr=stderr,
        wall_seconds=header.get("wall_seconds", 0.0),
        cpu_seconds=header.get("cpu_seconds", 0.0),
        peak_memory_bytes=header.get("peak_memory_bytes"),
        detail=header.get("detail", ""),
    )
    return execution, dict(zip(header.get("left", ()), left, strict=True))
