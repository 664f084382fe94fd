"""What goes into a sandbox and what comes out of it. No behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["exited", "signalled", "time", "memory", "output", "refused"]
"""How a program ended.

`exited` by itself, `exit_code` says how; `signalled`: killed by a signal that is not one of ours, `signal` says which; `time`,
`memory`, `output`: stopped at that limit; `refused`: never started (no such program, files larger than the sandbox's disk).
"""


@dataclass(frozen=True)
class Limits:
    """What one program may use. All are > 0.

    `cpu_seconds` is the sum over all its processes; `wall_seconds` counts from when the program starts, not from when the run was
    asked for; `memory_bytes` holds for all its processes and its files together where control groups are there, else for each
    process; `output_bytes` holds for stdout and stderr each; `processes` counts threads too; `file_bytes` bounds its private disk
    (/work, /tmp and /dev/shm together) and so each file in it.
    """

    cpu_seconds: float = 10.0
    wall_seconds: float = 20.0
    memory_bytes: int = 512 * 2**20
    output_bytes: int = 2**20
    processes: int = 64
    file_bytes: int = 64 * 2**20


@dataclass(frozen=True)
class Command:
    """A program to run in a fresh private folder /work that holds `files`, which is also its current folder.

    `argv[0]` is looked up in the sandbox's PATH, or is a path such as "./main". A file whose content starts with `#!` or with an
    executable format's magic number is made executable. `env` is the whole environment but for PATH, HOME and LANG, which the
    sandbox sets and `env` may override.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Execution:
    """How a program ended, what it wrote, and what it used.

    `exit_code` is set exactly when the outcome is `exited`, `signal` when it is `signalled`. `stdout` and `stderr` hold at most
    `output_bytes` each. `cpu_seconds` and `peak_memory_bytes` are those of all its processes where control groups are there, else
    the peak is that of the largest process; None where nothing measured it. `detail` says in words what happened.
    """

    outcome: Outcome
    exit_code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int | None
    detail: str = ""
