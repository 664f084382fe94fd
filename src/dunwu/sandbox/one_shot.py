"""A keeper for one program, started anew and spoken to through its standard streams."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from functools import partial
from typing import Any

from dunwu.errors import SandboxError
from dunwu.sandbox.bundle import keeper_source
from dunwu.sandbox.inside.messages import encode_message, read_message, write_all
from dunwu.sandbox.inside.request import Request

_GRACE_SECONDS = 60.0


def keeper_command(python: str) -> list[str]:
    """Return the command that runs a keeper over its standard streams."""
    return [python, "-S", "-s", "-B", "-c", keeper_source(0, 1)]


def run_once(
    command: list[str], request: Request, *, work: str, env: dict[str, str] | None = None
) -> tuple[dict[str, Any], list[bytes]]:
    """Start `command`, which runs a keeper, have it run one program, and wait until all is over.

    Args:
        work: the program's folder there; empty: a temporary one.
    Returns:
        Header and blobs of the answer.
    Raises:
        SandboxError: the keeper did not start, or did not answer in time; the message holds what it said.
    """
    settings = {"mode": "given", "python_path": [], "work": work, "count_processes": False}
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=env,
                cwd="/",
                bufsize=0,
            )
        except OSError as error:
            raise SandboxError(f"the sandbox cannot be started: {error}") from error
        try:
            return _converse(
                process,
                encode_message(settings) + encode_message(*request.to_message()),
                request.wall_seconds,
            )
        except (OSError, EOFError) as error:
            process.kill()
            process.wait()
            log.seek(0)
            said = log.read(4096).decode(errors="replace").strip()
            raise SandboxError(f"the sandbox broke down: {said or error}") from error


def _converse(
    process: subprocess.Popen[bytes], message: bytes, wall_seconds: float
) -> tuple[dict[str, Any], list[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    guard = threading.Timer(wall_seconds + _GRACE_SECONDS, process.kill)
    guard.daemon = True
    guard.start()
    try:
        with process.stdin as channel:
            write_all(channel.fileno(), message)
            read = partial(os.read, process.stdout.fileno())
            read_message(read)  # the greeting
            return read_message(read)
    finally:
        guard.cancel()
        process.stdout.close()
        process.wait()
